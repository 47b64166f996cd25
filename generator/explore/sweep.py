"""A sweep from model to files. Start reading here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..board import Board, load_board
from ..errors import IntarsiaError
from ..parallel import cluster, processes
from ..progress import Progress, silent
from ..samples import DEFAULT_PREPROCESS, Preprocess
from .choice import Choice, digest
from .circulant import UNTUNED, Training, circulant_models
from .circulant import notes as circulant_notes
from .cost import Cost, PhaseOf
from .files import About, write_files
from .front import Point, Standing, standings
from .grid import Grid
from .jobs import CostPoint, Job, Measure, Result, do
from .journal import Journal
from .quality import Quality
from .sources import Network, Sources, collect, read


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes:
        directory: where its files are.
        points: in the order of the grid; a point's number is its place.
        standings: of feasible points, by number.
        notes: what a user should know, one line each.
        resumed: jobs whose results were there already.
        cpu_seconds: CPU time of all jobs, those of earlier runs among them.
        seconds: wall clock of this run.
    """

    directory: Path
    points: tuple[Point, ...]
    standings: dict[int, Standing]
    notes: tuple[str, ...]
    resumed: int
    cpu_seconds: float
    seconds: float

    @property
    def front(self) -> tuple[Point, ...]:
        """Points that none of the same board beats."""
        return tuple(
            p for p in self.points if p.number in self.standings and self.standings[p.number].on_front
        )


def explore_model(
    model: str | Path,
    directory: str | Path,
    grid: Grid | None = None,
    *,
    samples: str | Path | None = None,
    labels: str | Path | None = None,
    calibration: str | Path | None = None,
    training: Training = UNTUNED,
    preprocess: Preprocess = DEFAULT_PREPROCESS,
    jobs: int = 1,
    address: str | None = None,
    progress: Progress = silent,
) -> Sweep:
    """Schedules, costs and judges every point of a grid, and writes points, front and page; an interrupted sweep goes on.

    Args:
        model: path of a float ONNX model.
        directory: where the files go.
        grid: the points; Grid() if None.
        samples: sample file to measure accuracy on; without it the noise on synthetic samples serves, and the notes say so.
        labels: file of the samples' classes, if they are not in the sample file.
        calibration: sample file for number ranges; `samples` if None.
        training: how circulant weights are fine-tuned, once for each size of blocks, in this process.
        preprocess: how sample files become model inputs.
        jobs: processes on this machine; more than one needs the caller's script to be importable.
        address: of a Dask scheduler that does the work in their place.
        progress: told how many jobs are done.

    Raises:
        IntarsiaError: anything that the user can mend, no point being feasible among it.
    """
    begin = time.monotonic()
    grid = grid or Grid()
    directory = Path(directory)
    material = read(model, samples, labels, calibration, preprocess)
    boards = {name: load_board(name) for name in grid.boards}
    choices = grid.choices()
    with Journal(
        directory, {"version of intarsia": _version(), "model or samples": material.digest}
    ) as journal:
        circulant = circulant_models(material, grid.circulant, training, directory, samples, progress)
        sources = collect(material, {k: (made.model, made.words) for k, made in circulant.items()}, progress)
        networks = sources.networks
        work = _jobs(choices, boards, networks)
        missing = [job for job in work if job.key not in journal.results]
        resumed = len(work) - len(missing)
        progress("Exploring", resumed, len(work))
        done = resumed
        for result in _run(sources, missing, jobs, address):
            journal.append(result)
            done += 1
            progress("Exploring", done, len(work))
        results = journal.results
    points = tuple(_point(number, choice, boards, networks, results) for number, choice in enumerate(choices))
    standing = standings(points)
    about = About(
        model=Path(model).absolute(),
        samples=_absolute(samples),
        calibration=_absolute(calibration or samples),
        preprocess=preprocess,
        digest=material.digest,
        boards=boards,
        circulant={k: made.path.name for k, made in circulant.items() if made.path},
        words={k: network.words for k, network in networks.items()},
        notes=(*material.notes, *circulant_notes(circulant, training)),
    )
    write_files(directory, about, points, standing)
    if not standing:
        raise IntarsiaError(
            f"no point is feasible. The last: {points[-1].reason}. {directory / 'points.csv'} has the reason of each"
        )
    cpu = sum(results[job.key].cpu_seconds for job in work)
    return Sweep(directory, points, standing, about.notes, resumed, cpu, time.monotonic() - begin)


def _version() -> str:
    """The release and its code: figures of another cost model must not be taken over."""
    package = Path(__file__).parents[1]
    code = b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    return f"{version('intarsia')} {digest(code)}"


def _jobs(
    choices: Sequence[Choice], boards: Mapping[str, Board], networks: Mapping[int, Network]
) -> list[Job]:
    """What is to be done, each once; the longest of the kinds first, so that the end is even."""
    jobs: list[Job] = [_measure(choice, networks) for choice in choices]
    jobs += [_cost(choice, boards, networks) for choice in choices]
    return list({job.key: job for job in jobs}.values())


def _measure(choice: Choice, networks: Mapping[int, Network]) -> Measure:
    return Measure(choice.numeric, networks[choice.numeric.circulant].digest)


def _cost(choice: Choice, boards: Mapping[str, Board], networks: Mapping[int, Network]) -> CostPoint:
    return CostPoint(choice, boards[choice.board], networks[choice.numeric.circulant].digest)


def _run(sources: Sources, jobs: Sequence[Job], count: int, address: str | None) -> Iterator[Result]:
    if not jobs:
        return iter(())
    if address:
        return cluster.run(do, sources, jobs, address)
    return processes.run(do, sources, jobs, count)


def _point(
    number: int,
    choice: Choice,
    boards: Mapping[str, Board],
    networks: Mapping[int, Network],
    results: Mapping[str, Result],
) -> Point:
    costed = results[_cost(choice, boards, networks).key]
    measured = results[_measure(choice, networks).key]
    cost = quality = None
    if costed.value is not None:
        phases = tuple(PhaseOf(p["pattern"], tuple(p["tasks"]), p["cycles"]) for p in costed.value["phases"])
        cost = Cost(**costed.value | {"phases": phases, "engines": tuple(costed.value["engines"])})
    if measured.value is not None:
        quality = Quality(**measured.value)
    return Point(number, choice, cost, quality, costed.reason or measured.reason)


def _absolute(path: str | Path | None) -> Path | None:
    return Path(path).absolute() if path else None

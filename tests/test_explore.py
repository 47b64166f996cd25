"""Design-space exploration: the same points however the work is done, nothing lost, and every point ready to compile."""

from __future__ import annotations

import csv
import json
import multiprocessing
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from intarsia import golden
from intarsia.__main__ import app
from intarsia.errors import IntarsiaError
from intarsia.explore import sweep
from intarsia.explore.chosen import compile_options
from intarsia.explore.front import OBJECTIVES, dominates
from intarsia.explore.grid import Grid, bits_from, boards_from, schedules_from
from intarsia.explore.jobs import Job, Result, do
from intarsia.explore.journal import NAME
from intarsia.explore.sources import Sources
from intarsia.explore.sweep import Sweep, explore_model
from intarsia.graph_file import load_graph
from intarsia.parallel import processes

GRID = Grid(boards=("pynq-z2",), bits=((8, 8), (16, 16)), lanes=(8, 32), budgets=(60.0, 100.0))
POINTS = 2 * 2 * 3 * 2
JOBS = POINTS + 2


@pytest.fixture(scope="module")
def found(lenet_model: Path, lenet_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep in this process; not to be changed."""
    return explore_model(lenet_model, tmp_path_factory.mktemp("sweep"), GRID, samples=lenet_images)


@pytest.fixture
def again(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> Any:
    """Explores the same into a folder of the test."""

    def run(**options: Any) -> Sweep:
        return explore_model(lenet_model, tmp_path / "sweep", GRID, samples=lenet_images, **options)

    return run


def points_of(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "points.json").read_text())
    return content


def test_every_point_is_there_in_order(found: Sweep) -> None:
    assert len(found.points) == POINTS
    assert [point.choice for point in found.points] == list(GRID.choices())
    assert 0 < len(found.front) < len(found.standings) < POINTS
    for point in found.points:
        assert (point.reason is None) == (point.cost is not None and point.quality is not None)


def test_front_is_what_nothing_beats(found: Sweep) -> None:
    feasible = [point for point in found.points if point.reason is None]
    assert all(len(point.merits) == len(OBJECTIVES) for point in feasible)
    for point in feasible:
        standing = found.standings[point.number]
        beaten = any(dominates(other.merits, point.merits) for other in feasible)
        assert beaten == (standing.beaten_by is not None)
        if standing.beaten_by is not None:
            assert dominates(found.points[standing.beaten_by].merits, point.merits)
            assert found.standings[standing.beaten_by].on_front
        if standing.same_as is not None:
            assert found.points[standing.same_as].merits == point.merits
            assert standing.same_as < point.number


def test_accuracy_is_that_of_the_golden(found: Sweep, compiled_lenet: Path, lenet_images: Path) -> None:
    eight = next(p for p in found.points if p.choice.numeric.label == "w8 a8")
    assert eight.quality is not None
    graph = load_graph(compiled_lenet / "golden.npz")
    with np.load(lenet_images) as file:
        images, labels = file["images"], file["labels"]
    tensor = graph.tensors[graph.inputs[0]]
    raw = tensor.number.quantise(images.reshape(-1, *tensor.shape).astype(np.float32) / np.float32(255))
    scores = golden.run(graph, {tensor.name: raw})[graph.outputs[0]]
    assert eight.quality.accuracy == (scores.reshape(len(labels), -1).argmax(axis=1) == labels).mean()
    assert eight.quality.samples == len(labels)


def test_files_say_the_same(found: Sweep) -> None:
    rows = points_of(found.directory)["points"]
    with (found.directory / "points.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == list(range(POINTS)) == [int(row["number"]) for row in table]
    for row, line in zip(rows, table, strict=True):
        assert line["dsp"] == (str(row["cost"]["dsp"]) if row["cost"] else "")
        assert line["explanation"] == row["explanation"]
    page = (found.directory / "index.html").read_text()
    data = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert json.loads(data) == points_of(found.directory)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    picture = ET.parse(found.directory / "front.svg").getroot()
    titles = [node.text or "" for node in picture.iter("{http://www.w3.org/2000/svg}title")]
    # Each of the two panels shows every feasible point.
    assert sorted(int(t[1 : t.index(":")]) for t in titles) == sorted([*found.standings] * 2)


def test_every_point_is_explained(found: Sweep) -> None:
    for row in points_of(found.directory)["points"]:
        words = row["explanation"]
        if not row["feasible"]:
            assert words == f"Infeasible: {row['reason']}"
        elif row["front"]:
            assert "On the front" in words
        else:
            assert f"#{row['beaten_by'] if row['same_as'] is None else row['same_as']}" in words
        if row["feasible"]:
            assert f"{row['cost']['cycles']:,} cycles" in words


def test_an_interrupted_sweep_goes_on(found: Sweep, again: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def some(work: Any, sources: Sources, jobs: list[Job], count: int) -> Iterator[Result]:
        for job in jobs[:9]:
            yield do(sources, job)
        raise KeyboardInterrupt

    def rest(work: Any, sources: Sources, jobs: list[Job], count: int) -> Iterator[Result]:
        done.extend(job.key for job in jobs)
        yield from (do(sources, job) for job in jobs)

    monkeypatch.setattr(sweep.processes, "run", some)
    with pytest.raises(KeyboardInterrupt):
        again()
    monkeypatch.setattr(sweep.processes, "run", rest)
    finished = again()
    assert finished.resumed == 9
    assert len(done) == JOBS - 9
    same_results(found, finished)


def test_a_torn_line_is_cut_off(found: Sweep, again: Any) -> None:
    first = again()
    journal = first.directory / NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:7]) + lines[7][:20])
    finished = again()
    assert finished.resumed == 6
    same_results(found, finished)
    assert len(journal.read_text().splitlines()) == len(lines)


def test_a_killed_worker_loses_nothing(found: Sweep, again: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two worker processes, one of which is killed after the first result."""
    real, killed = processes._pool, []

    def pool(work: Any, sources: Sources, jobs: list[Job], count: int) -> Iterator[Result]:
        for result in real(work, sources, jobs, count):
            yield result
            if not killed:
                victim = multiprocessing.active_children()[0]
                victim.kill()
                killed.append(victim.pid)

    monkeypatch.setattr(processes, "_pool", pool)
    finished = again(jobs=2)
    assert killed
    same_results(found, finished)
    keys = [json.loads(line)["key"] for line in (finished.directory / NAME).read_text().splitlines()[1:]]
    assert len(keys) == len(set(keys)) == JOBS


def test_a_killed_sweep_goes_on_and_leaves_no_process(
    found: Sweep, again: Any, lenet_model: Path, lenet_images: Path, tmp_path: Path
) -> None:
    options = ["--board", "pynq-z2", "--bits", "8,16", "--lanes", "8,32", "--budget", "60,100", "--jobs", "2"]
    command = [sys.executable, "-m", "intarsia", "explore", str(lenet_model), "-o", str(tmp_path / "sweep")]
    journal = tmp_path / "sweep" / NAME
    with subprocess.Popen(
        [*command, "--samples", str(lenet_images), *options], stderr=subprocess.DEVNULL
    ) as main:
        until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 3)
        workers = children(main.pid)
        main.kill()
    assert workers
    until(lambda: not any(is_alive(worker) for worker in workers))
    finished = again()
    assert finished.resumed >= 3
    same_results(found, finished)


def test_a_full_disk_leaves_what_can_be_resumed(
    found: Sweep, again: Any, lenet_model: Path, lenet_images: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the full disk: the write that exceeds it is cut short, then fails."""
    script = (
        "import resource, sys\n"
        "from intarsia.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "main()"
    )
    options = ["--board", "pynq-z2", "--bits", "8,16", "--lanes", "8,32", "--budget", "60,100", "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", script, "explore", lenet_model, "-o", tmp_path / "sweep", "--samples", lenet_images, *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "give the same command again" in done.stderr
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == [NAME]
    finished = again()
    assert finished.resumed > 0
    same_results(found, finished)


def test_a_point_compiles_to_what_it_promised(found: Sweep, tmp_path: Path) -> None:
    point = min(found.front, key=lambda p: p.merits)
    assert point.cost is not None
    reference = f"{found.directory / 'points.json'}#{point.number}"
    done = CliRunner().invoke(
        app, ["compile", "--from", reference, "-o", str(tmp_path / "p"), "--no-fifo-sizing"]
    )
    assert done.exit_code == 0, done.output
    design = json.loads((tmp_path / "p" / "design.json").read_text())
    assert design["schedule"]["latency_cycles"] == point.cost.cycles
    assert design["schedule"]["kind"] == point.cost.kind
    assert design["resources"]["dsp"] == point.cost.dsp
    assert design["off_chip_bytes"] == point.cost.off_chip_bytes


def test_from_and_other_choices_contradict(found: Sweep, tmp_path: Path) -> None:
    reference = f"{found.directory}#0"
    for option in (["--board", "kv260"], ["--lanes", "4"], ["model.onnx"]):
        done = CliRunner().invoke(app, ["compile", "--from", reference, "-o", str(tmp_path / "p"), *option])
        assert done.exit_code == 2
        assert "contradicts --from" in done.stderr
    infeasible = next(p.number for p in found.points if p.reason)
    for reference, message in (
        (f"{found.directory}#{infeasible}", "is infeasible"),
        (f"{found.directory}#999", "no #999"),
        (str(found.directory), "must be DIR/points.json#N"),
        (f"{tmp_path / 'none.json'}#0", "cannot read"),
    ):
        with pytest.raises(IntarsiaError, match=message):
            compile_options(reference)


def test_another_model_or_sample_is_refused(found: Sweep, lenet_model: Path, lenet_images: Path) -> None:
    with pytest.raises(IntarsiaError, match="another model or samples"):
        explore_model(lenet_model, found.directory, GRID)


def test_a_larger_grid_takes_over_what_is_known(again: Any, lenet_model: Path, lenet_images: Path) -> None:
    small = again()
    larger = Grid(boards=("pynq-z2",), bits=GRID.bits, lanes=(8, 32), budgets=(40.0, 60.0, 100.0))
    grown = explore_model(lenet_model, small.directory, larger, samples=lenet_images)
    assert grown.resumed == JOBS
    assert len(grown.points) == POINTS * 3 // 2


def test_without_labels_noise_counts(lenet_model: Path, tmp_path: Path) -> None:
    grid = Grid(boards=("pynq-z2",), lanes=(8,), schedules=("sequential",), budgets=(100.0,))
    result = explore_model(lenet_model, tmp_path, grid)
    noise = [p.quality.sqnr_db for p in result.points if p.quality]
    assert noise == sorted(noise)  # 4-bit weights, 8 bits, 16 bits
    assert noise[-1] > 2 * noise[0]
    assert any(note.startswith("NOT CALIBRATED") for note in result.notes)


def test_nothing_fits(lenet_model: Path, tmp_path: Path) -> None:
    grid = Grid(boards=("pynq-z2",), budgets=(1.0,), lanes=(8,), schedules=("sequential",))
    with pytest.raises(IntarsiaError, match=r"no point is feasible.*does not fit 1 % of pynq-z2"):
        explore_model(lenet_model, tmp_path, grid)
    assert all(row["reason"] for row in points_of(tmp_path)["points"])


def test_axes_are_read() -> None:
    assert bits_from("4x8, 8,8") == ((4, 8), (8, 8))
    assert schedules_from("auto") == ("mixed", "dataflow", "sequential")
    assert boards_from("kv260,own.toml") == ("kv260", str(Path("own.toml").absolute()))
    assert len(Grid(lanes=(8, 8)).choices()) == 3 * 3 * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bits", ""], "the grid is empty"),
        (["--bits", "8,x"], "--bits must be numbers"),
        (["--bits", "1"], "--weight-bits must be 2 to 16, not 1"),
        (["--lanes", "5"], "--lanes must be of 4, 8, 16, 32, not 5"),
        (["--schedule", "fast"], "--schedule must be of mixed, dataflow, sequential, not fast"),
        (["--clock-mhz", "0,5000"], "--clock-mhz must be above 0"),
        (["--budget", "120"], "--budget must be above 0 and at most 100"),
        (["--board", "kv260,none"], "unknown board 'none'"),
        (["--labels", "y.npy"], "--labels needs --samples"),
        (["--jobs", "2", "--cluster", "tcp://h:1"], "give one of them"),
        (["--samples", "none.npz"], "there is no sample file"),
    ],
)
def test_bad_options(lenet_model: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["explore", str(lenet_model), "-o", str(tmp_path / "sweep"), *options])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "sweep").exists()


def test_bad_labels(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    for labels, message in (
        (np.zeros(3, int), "there are 3 labels"),
        (np.zeros(300), "array of integers"),
        (np.full(200, 99), "labels go from 99 to 99"),
    ):
        np.save(tmp_path / "y.npy", labels)
        with pytest.raises(IntarsiaError, match=message):
            explore_model(lenet_model, tmp_path, GRID, samples=lenet_images, labels=tmp_path / "y.npy")


def test_two_sweeps_do_not_share_a_directory(again: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nested(work: Any, sources: Sources, jobs: list[Job], count: int) -> Iterator[Result]:
        with pytest.raises(IntarsiaError, match="another `intarsia explore` is at work"):
            again()
        return iter(())

    monkeypatch.setattr(sweep.processes, "run", nested)
    with pytest.raises(KeyError):  # no result at all
        again()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def same_results(one: Sweep, other: Sweep) -> None:
    assert points_of(one.directory) == points_of(other.directory)

"""Verification of a project directory: finds its worlds, runs the samples, leaves a reproduction of a failure."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from intarsia.errors import IntarsiaError
from intarsia.graph_file import load_graph
from intarsia.progress import Progress, silent
from intarsia.samples import Preprocess, Samples, load_samples
from intarsia.task_graph import TaskGraph

from . import reproduction
from .board_runner import BoardRunner
from .budget import Budget
from .check import check
from .csim_runner import CsimRunner, SimulationError
from .findings import Batch
from .golden_runner import GoldenRunner
from .hardware_runner import HardwareRunner
from .onnxruntime_runner import FloatRunner, QuantisedRunner
from .report import Report
from .runner import Array
from .stimuli import NAMES, stress
from .worlds import Worlds

EMULATED, NONE = "emulated", "none"
BATCH_SAMPLES = 50
BATCH_ELEMENTS = 1 << 23
"""Elements of all tensors per batch and world: bounds memory whatever the model."""


class ProjectError(IntarsiaError):
    """The directory is not a project that can be verified."""


def run(
    directory: Path | str,
    inputs: Path | str | Samples | None = None,
    board: str = EMULATED,
    samples: int | None = None,
    progress: Progress = silent,
    budget: Budget | None = None,
) -> Report:
    """Verify a project: float model, quantised model, golden, C-simulation and board, layer by layer.

    Stress vectors are always added to the samples. A divergence leaves DIR/verify/reproduction.

    Args:
        directory: the project that compile wrote.
        inputs: samples, or a file of them; by default the calibration samples that the project holds.
        board: "emulated", the address of a real board, or "none".
        samples: use at most so many samples.
        progress: told how many samples are done, after each batch.
        budget: thresholds of the quantisation edge.

    Raises:
        IntarsiaError: a world could not be run; says nothing about whether it is right.
    """
    project = Path(directory)
    for needed in ("design.json", "golden.npz", "deploy/manifest.json"):
        if not (project / needed).is_file():
            raise ProjectError(
                f"{project} is no project of intarsia: it has no {needed}. Make it with `intarsia compile`"
            )
    graph = load_graph(project / "golden.npz")
    loaded = _samples(project, graph, inputs)
    values = {name: array[:samples] for name, array in loaded.arrays.items()}
    labels = None if loaded.labels is None else loaded.labels[:samples]
    total = min(loaded.count, samples or loaded.count) + len(NAMES)
    notes = (*changed_files(project), *loaded.notes)
    with ExitStack() as stack:
        worlds = open_worlds(project, graph, board, stack)
        text = "Comparing " + ", ".join(worlds.names.values())

        def compare(worlds: Worlds) -> Report:
            progress(text, 0, total)
            return check(
                graph,
                worlds,
                batches(graph, values, labels),
                budget,
                notes,
                lambda number: progress(text, number, total),
            )

        report = _despite_faults(worlds, compare)
    report = replace(report, name=_read_json(project / "design.json").get("name", graph.name))
    _reproduce(project, graph, report, board)
    return report


def _despite_faults(worlds: Worlds, compare: Callable[[Worlds], Report]) -> Report:
    """Compare, even if the program is so wrong that it would hang: the comparison shows where.

    Raises:
        SimulationError: the program would hang, but the comparison does not show where.
    """

    def fault() -> str:
        return getattr(worlds.csim, "fault", "")

    try:
        report = compare(worlds)
    except IntarsiaError:
        if not fault() or worlds.board is None:
            raise
        report = compare(replace(worlds, board=None))
    if not fault():
        return report
    if report.passed:
        raise SimulationError(f"{fault()}, though all tensors are right: hardware would hang")
    return replace(report, notes=(*report.notes, f"{fault()}: hardware would hang"))


def open_worlds(project: Path, graph: TaskGraph, board: str, stack: ExitStack) -> Worlds:
    """All worlds of a project; the stack closes the board."""
    csim = CsimRunner.of_project(project)
    target = None if board == NONE else stack.enter_context(BoardRunner(project, csim.library, board))
    return Worlds(
        golden=GoldenRunner(graph),
        float_model=FloatRunner(project / "float.onnx", graph),
        quantised=QuantisedRunner(project / "quantised.onnx", graph),
        csim=HardwareRunner(csim, graph),
        board=None if target is None else HardwareRunner(target, graph),
        emulated=board == EMULATED,
    )


def batches(graph: TaskGraph, values: Mapping[str, Array], labels: Array | None) -> Iterator[Batch]:
    """The samples in batches that fit in memory, then the stress vectors."""
    elements = sum(prod(tensor.shape) for tensor in graph.tensors.values())
    size = max(1, min(BATCH_SAMPLES, BATCH_ELEMENTS // elements))
    count = len(next(iter(values.values()), ()))
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        yield Batch(
            raw={name: graph.tensors[name].number.quantise(value[part]) for name, value in values.items()},
            real={name: value[part] for name, value in values.items()},
            labels=None if labels is None else labels[part],
            first_sample=start,
        )
    vectors = stress(graph.tensors[name] for name in graph.inputs)
    for start in range(0, len(NAMES), size):
        part = slice(start, start + size)
        names = tuple(f"stress vector {name!r}" for name in NAMES[part])
        yield Batch(
            {name: raw[part] for name, raw in vectors.items()}, first_sample=count + start, names=names
        )


def changed_files(project: Path) -> list[str]:
    """Remarks on files that differ from those that compile wrote, by the manifest's hashes."""
    hashes: Mapping[str, str] = _read_json(project / "deploy" / "manifest.json").get("sha256", {})
    remarks = []
    for name, wanted in sorted(hashes.items()):
        path = project / name
        if not path.is_file():
            remarks.append(f"{name} is missing, though the manifest lists it")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            remarks.append(f"{name} was changed after compilation: its SHA-256 is not the manifest's")
    return remarks


def _samples(project: Path, graph: TaskGraph, inputs: Path | str | Samples | None) -> Samples:
    if isinstance(inputs, Samples):
        return inputs
    tensors = tuple(graph.tensors[name] for name in graph.inputs)
    options = _read_json(project / "design.json").get("preprocess", {})
    path = Path(inputs) if inputs is not None else project / "samples.npz"
    return load_samples(path, tensors, Preprocess(**options))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} is damaged: {error}. Compile the project again") from error
    if not isinstance(content, dict):
        raise ProjectError(f"{path} is damaged: it holds no object. Compile the project again")
    return content


def _reproduce(project: Path, graph: TaskGraph, report: Report, board: str) -> None:
    """Keep the failing sample of this run; remove that of an earlier one."""
    folder = project / "verify" / "reproduction"
    if folder.is_dir():
        shutil.rmtree(folder)
    failing = next((one for one in report.divergences if one.sample is not None), None)
    if failing is not None and report.evidence is not None:
        reproduction.write(folder, project, graph, failing, report.evidence, board)

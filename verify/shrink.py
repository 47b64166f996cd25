"""The smallest piece of a model, and of a sample, that still fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from intarsia import golden
from intarsia.board import load_board
from intarsia.emit import emit_sources
from intarsia.errors import IntarsiaError
from intarsia.graph_file import save_graph
from intarsia.operator import Array
from intarsia.project.manifest import manifest
from intarsia.qdq.model import export_qdq
from intarsia.samples import samples_bytes
from intarsia.simulation.build import build_sources
from intarsia.task_graph import TaskGraph

from .check import check
from .csim_runner import CsimRunner
from .cut import ancestors, between, compile_cut
from .edge import Edge
from .findings import Batch, Evidence
from .hardware_runner import HardwareRunner
from .localise import Divergence
from .onnxruntime_runner import QuantisedRunner
from .project_files import design_json
from .report import Report
from .runner import Runner
from .worlds import World, Worlds

TRIALS = 64
"""Samples that are tried at most on the way to a smaller one: a board may be slow."""
TEXT = """\
{divergence}

{summary}

Run the whole project with the reduced sample:
    intarsia verify {project} --inputs {folder}/sample.npz {options}
{alone}
graph.npz     the layers {tasks}, quantised, as a task graph
model.onnx    the same as QDQ model, exported anew
inputs.npz    raw integers of what these layers read, for the reduced sample
expected.npz  raw integers that {expected} has there
got.npz       raw integers that {got} has there
"""


@dataclass(frozen=True)
class Shrunk:
    """What is left: layers, and input elements that are not zero; `alone` says whether the layers fail when emitted anew.

    `alone` is None where that was not tried: a board runs what was built for it.
    """

    folder: Path
    tasks: tuple[str, ...]
    of_tasks: int
    elements: int
    of_elements: int
    alone: bool | None

    def __str__(self) -> str:
        verdicts = {
            True: "emitted anew and alone, they fail as well",
            False: "emitted anew, the model is right: the project's files were changed, or made by another version",
            None: "",
        }
        count = f"{len(self.tasks)} of {self.of_tasks} layers, {self.elements} of {self.of_elements} input elements not zero"
        said = f"; {verdicts[self.alone]}" if verdicts[self.alone] else ""
        return f"shrunk to {count}{said}: {self.folder}"


def shrink(
    project: Path,
    graph: TaskGraph,
    worlds: Worlds,
    divergence: Divergence,
    evidence: Evidence,
    options: str,
) -> Shrunk:
    """Reduce a failing sample, then the model, and write both to DIR/verify/shrunk.

    Args:
        project: the project directory.
        graph: its quantised graph.
        worlds: its worlds, open.
        divergence: at an exact edge.
        evidence: its failing sample.
        options: of the command line, for the text.

    Raises:
        IntarsiaError: a world cannot be run.
    """
    pair = worlds.edges[divergence.edge]
    apart = _only(worlds, pair)

    def fails(raw: Mapping[str, Array]) -> bool:
        first = _report(graph, apart, raw).first_divergence
        return first is not None and (first.edge, first.layer) == (divergence.edge, divergence.layer)

    given = {name: np.asarray(values) for name, values in evidence.inputs.items()}
    lone = fails(given)
    raw = fewer_elements(given, fails) if lone else given
    shown = _report(graph, apart, raw).evidence if lone else evidence
    assert shown is not None
    tasks, alone = _fewer_tasks(project, graph, divergence, shown)
    folder = project / "verify" / "shrunk"
    shrunk = Shrunk(
        folder,
        tasks,
        len(graph.tasks),
        sum(int(np.count_nonzero(values)) for values in raw.values()),
        sum(values.size for values in raw.values()),
        alone,
    )
    _write(shrunk, project, graph, divergence, raw, shown, options, lone)
    return shrunk


def fewer_elements(
    raw: Mapping[str, Array], fails: Callable[[Mapping[str, Array]], bool], trials: int = TRIALS
) -> dict[str, Array]:
    """Inputs with as many zeros as was found while they still fail: blocks become zero, in ever smaller ones.

    Args:
        raw: one sample by input.
        fails: the question; true for `raw`.
        trials: how often it may be asked.
    """
    names = list(raw)
    sizes = [raw[name].size for name in names]
    flat = np.concatenate([raw[name].reshape(-1) for name in names])

    def split(values: Array) -> dict[str, Array]:
        parts = np.split(values, np.cumsum(sizes)[:-1])
        return {name: part.reshape(raw[name].shape) for name, part in zip(names, parts, strict=True)}

    pieces = 1
    while trials > 0:
        living = np.flatnonzero(flat)
        pieces = min(pieces, len(living))
        smaller = False
        for block in np.array_split(living, pieces) if pieces else ():
            if trials <= 0:
                break
            trials -= 1
            candidate = flat.copy()
            candidate[block] = 0
            if fails(split(candidate)):
                flat, smaller = candidate, True
        if not smaller and pieces >= len(living):
            break
        pieces = pieces if smaller else 2 * pieces
    return split(flat)


def _only(worlds: Worlds, pair: tuple[World, World]) -> Worlds:
    """The golden and the two worlds of an edge."""
    return replace(
        worlds,
        float_model=None,
        quantised=worlds.quantised if World.QUANTISED in pair else None,
        csim=worlds.csim if World.CSIM in pair else None,
        board=worlds.board if World.BOARD in pair else None,
    )


def _report(graph: TaskGraph, worlds: Worlds, raw: Mapping[str, Array]) -> Report:
    return check(graph, worlds, [Batch({name: values[np.newaxis] for name, values in raw.items()})])


def _fewer_tasks(
    project: Path, graph: TaskGraph, divergence: Divergence, evidence: Evidence
) -> tuple[tuple[str, ...], bool | None]:
    """The fewest tasks before and with the culprit that fail when they are emitted anew; else the suspects alone."""
    suspects = tuple(
        task.name for task in graph.tasks if task.name in (*divergence.through, divergence.layer)
    )
    if not suspects or divergence.edge is Edge.DEPLOYMENT:
        return suspects, None
    known = {**evidence.inputs, **evidence.expected, **evidence.got}

    def fails(tasks: tuple[str, ...]) -> bool:
        cut = between(graph, tasks)
        inputs = {name: np.asarray(known[name], np.int64)[np.newaxis] for name in cut.inputs}
        runner = _emitted(project, cut, inputs) if divergence.edge is Edge.MAPPING else _exported(cut)
        expected, got = golden.run(cut, inputs), runner.trace(inputs)
        return any(not np.array_equal(expected[name], got[name]) for name in got)

    chain = ancestors(graph, divergence.layer)
    if not fails(chain):
        return suspects, False
    least = max(1, len([name for name in chain if name in suspects]))
    for count in range(least, len(chain)):
        tasks = chain[-count:]
        if all(name in known for name in between(graph, tasks).inputs) and fails(tasks):
            return tasks, True
    return chain, True


def _emitted(project: Path, cut: TaskGraph, inputs: Mapping[str, Array]) -> Runner:
    """The C-simulation of a part of the model, scheduled anew."""
    about = design_json(project)
    real = {name: cut.tensors[name].number.dequantise(values) for name, values in inputs.items()}
    design = compile_cut(cut, load_board(about["board"]), about["clock_mhz"], real)
    library = build_sources(emit_sources(design.machine, "a part of the model"))
    call = manifest(design.machine, cut, board=about["board"], clock_mhz=about["clock_mhz"], files={})
    return HardwareRunner(CsimRunner(call, library, design.machine.weights), cut)


def _exported(cut: TaskGraph) -> Runner:
    """The QDQ model of a part of the model."""
    with TemporaryDirectory() as folder:
        onnx.save(export_qdq(cut), Path(folder) / "model.onnx")
        return QuantisedRunner(Path(folder) / "model.onnx", cut)


def _write(
    shrunk: Shrunk,
    project: Path,
    graph: TaskGraph,
    divergence: Divergence,
    raw: Mapping[str, Array],
    evidence: Evidence,
    options: str,
    lone: bool,
) -> None:
    """The folder, replacing an earlier one."""
    folder = shrunk.folder
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    real = {name: graph.tensors[name].number.dequantise(values) for name, values in raw.items()}
    (folder / "sample.npz").write_bytes(samples_bytes(real))
    alone = (
        ""
        if lone
        else "\nThis sample fails only behind those before it: state is carried from one to the next.\n"
    )
    if shrunk.tasks:
        cut = between(graph, shrunk.tasks)
        save_graph(cut, folder / "graph.npz")
        onnx.save(export_qdq(cut), folder / "model.onnx")
        read = {**evidence.inputs, **evidence.expected}
        inputs = {name: np.ascontiguousarray(read[name]) for name in cut.inputs if name in read}
        np.savez_compressed(folder / "inputs.npz", allow_pickle=False, **inputs)
        for name, trace in (("expected", evidence.expected), ("got", evidence.got)):
            kept = {tensor: np.ascontiguousarray(trace[tensor]) for tensor in trace if tensor in cut.tensors}
            np.savez_compressed(folder / f"{name}.npz", allow_pickle=False, **kept)
        alone += _project(shrunk, project, cut, read)
    text = TEXT.format(
        divergence=divergence,
        summary=str(shrunk)[0].upper() + str(shrunk)[1:],
        project=project,
        folder=folder,
        options=options,
        alone=alone,
        tasks=", ".join(shrunk.tasks) or "(none)",
        expected=divergence.expected_world,
        got=divergence.got_world,
    )
    (folder / "command.txt").write_text(text)


def _project(shrunk: Shrunk, project: Path, cut: TaskGraph, read: Mapping[str, Array]) -> str:
    """The layers as a project of their own, and how to verify it; empty where they cannot be one."""
    about = design_json(project)
    samples = {
        name: cut.tensors[name].number.dequantise(np.asarray(read[name]))[np.newaxis].astype(np.float32)
        for name in cut.inputs
        if name in read
    }
    try:
        design = compile_cut(cut, load_board(about["board"]), about["clock_mhz"], samples)
        design.write(shrunk.folder / "project")
    except IntarsiaError:
        return ""
    return f"\nThe layers alone, as a project emitted anew:\n    intarsia verify {shrunk.folder}/project\n"

"""Verification of a project directory: finds its worlds, runs the samples, leaves a reproduction of a failure."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from intarsia.errors import IntarsiaError
from intarsia.graph_file import load_graph
from intarsia.progress import Progress, silent
from intarsia.samples import Samples
from intarsia.task_graph import TaskGraph

from . import parallel, reproduction
from .accuracy import Scorer
from .board_runner import EMULATED
from .budget import Budget, BudgetError
from .check import check, judge
from .csim_runner import SimulationError
from .edge import Edge
from .plugin import PLACES, GuardedRunner, RunnerError, load_runner
from .project_files import changed_files, read_json, require_project
from .project_inputs import source_of
from .project_worlds import NONE, open_worlds
from .recorded_runner import RecordedRunner, RecordingRunner
from .report import Report
from .runner import Runner, fault_of
from .shrink import shrink
from .trace_file import About, TraceError, TraceFile, TraceWriter, writing
from .worlds import World, Worlds


def run(
    directory: Path | str,
    inputs: Path | str | Samples | None = None,
    board: str = EMULATED,
    samples: int | None = None,
    progress: Progress = silent,
    budget: Budget | None = None,
    *,
    trace: Path | str | None = None,
    record: Path | str | None = None,
    runners: Mapping[World, Runner] | None = None,
    runner_files: Sequence[Path | str] = (),
    scorer: Scorer | None = None,
    timeout_s: float | None = None,
    smallest: bool = False,
    jobs: int = 1,
    address: str | None = None,
) -> Report:
    """Verify a project: float model, quantised model, golden, C-simulation and board, layer by layer.

    Stress vectors are always added to the samples. A divergence leaves DIR/verify/reproduction.

    Args:
        directory: the project that compile wrote.
        inputs: samples, or a file of them or of a recorded trace; by default the calibration samples that the project holds.
        board: "emulated", the address of a real board, or "none".
        samples: use at most so many samples.
        progress: told how many samples are done, after each batch.
        budget: thresholds of the quantisation edge.
        trace: a recorded trace (.npz) that stands for the board; its inputs are used if it holds them and `inputs` is None.
        record: where to write the trace of the board, or of the C-simulation if there is none.
        runners: worlds of your own, by the place that they take.
        runner_files: the same as Python files (see `intarsia.verify.plugin.load_runner`).
        scorer: accuracy of labelled samples; top-1 and top-5 if None.
        timeout_s: how long the C-simulation or the board may take for one batch; 600 s if None.
        smallest: reduce a failing sample and model to the smallest piece that fails, in DIR/verify/shrunk.
        jobs: processes that share the samples; without a board and worlds of your own.
        address: of a Dask scheduler whose workers share the samples in their place.

    Raises:
        IntarsiaError: a world could not be run; says nothing about whether it is right.
    """
    if jobs > 1 or address:
        _require_shareable(board, trace, record, runners, runner_files, scorer)
    project = Path(directory)
    require_project(project)
    graph = load_graph(project / "golden.npz")
    _check_budget(graph, budget)
    manifest = read_json(project / "deploy" / "manifest.json")
    own = dict(runners or {}) | dict(load_runner(Path(file), project, graph) for file in runner_files)
    with ExitStack() as stack:
        given = _open_trace(trace, graph, manifest, stack)
        if given:
            own[World.BOARD] = RecordedRunner(given, graph.inputs)
        source = source_of(project, graph, inputs, samples, given)
        notes = (*changed_files(project), *source.notes, *_other_build(given, manifest))
        worlds = open_worlds(project, graph, NONE if World.BOARD in own else board, stack, timeout_s)
        worlds = _with_own(worlds, own, graph)
        writer = stack.enter_context(writing(Path(record) if record else None, graph))
        if writer:
            worlds = _recorded(worlds, writer, graph)
        text = "Comparing " + ", ".join(worlds.names.values())

        def compare(worlds: Worlds) -> Report:
            progress(text, 0, source.total)
            return check(
                graph,
                worlds,
                source.batches(),
                budget,
                notes,
                lambda number: progress(text, number, source.total),
                scorer,
            )

        if jobs > 1 or address:
            progress(text, 0, source.total)
            found, fault = parallel.findings(
                project, source.batches(), jobs, address, lambda number: progress(text, number, source.total)
            )
            report = _with_fault(judge(graph, worlds, found, budget or Budget(), notes), fault)
        else:
            report = _despite_faults(worlds, compare)
        report = replace(report, name=read_json(project / "design.json").get("name", graph.name))
        if writer:
            if writer.samples != report.samples + report.stress:
                raise TraceError(f"{record} was not written: the world to record could not be run")
            weights = manifest.get("weights", {}).get("sha256", "")
            writer.close(About(worlds.names[worlds.accelerator or World.GOLDEN], weights, report.samples))
        options = f"--trace {trace}" if trace else f"--board {board}"
        if smallest:
            report = _shrunk(project, graph, worlds, report, options)
    _reproduce(project, graph, report, options)
    return report


def _shrunk(project: Path, graph: TaskGraph, worlds: Worlds, report: Report, options: str) -> Report:
    """The report, with a remark on how far its first divergence at an exact edge could be reduced."""
    first = report.first_divergence
    if first is None:
        return report
    recorded = isinstance(getattr(worlds.board, "runner", None), RecordedRunner)
    if first.sample is None or report.evidence is None or (first.edge is Edge.DEPLOYMENT and recorded):
        what = "a recorded trace runs no other samples" if recorded else "no single element shows it"
        return replace(report, notes=(*report.notes, f"not shrunk: {what}"))
    found = shrink(project, graph, _plain(worlds), first, report.evidence, options)
    return replace(report, notes=(*report.notes, str(found)))


def _plain(worlds: Worlds) -> Worlds:
    """The worlds without the recording of their traces."""

    def plain(runner: Runner | None) -> Runner | None:
        return runner.runner if isinstance(runner, RecordingRunner) else runner

    return replace(worlds, csim=plain(worlds.csim), board=plain(worlds.board))


def _despite_faults(worlds: Worlds, compare: Callable[[Worlds], Report]) -> Report:
    """Compare, even if the program is so wrong that it would hang: the comparison shows where.

    Raises:
        SimulationError: the program would hang, but the comparison does not show where.
    """

    def fault() -> str:
        return fault_of(worlds.csim)

    try:
        report = compare(worlds)
    except IntarsiaError:
        if not fault() or worlds.board is None:
            raise
        report = compare(replace(worlds, board=None))
    return _with_fault(report, fault())


def _with_fault(report: Report, fault: str) -> Report:
    if not fault:
        return report
    if report.passed:
        raise SimulationError(f"{fault}, though all tensors are right: hardware would hang")
    return replace(report, notes=(*report.notes, f"{fault}: hardware would hang"))


def _require_shareable(board: str, *own: object) -> None:
    """Refuse what only one process can have."""
    if board != NONE:
        raise IntarsiaError(
            "--jobs and --cluster share samples between processes, and a board serves one: add --board none"
        )
    if any(own):
        raise IntarsiaError(
            "--jobs and --cluster do not go with --trace, --record, --runner or --accuracy, which one process serves"
        )


def _with_own(worlds: Worlds, own: Mapping[World, Runner], graph: TaskGraph) -> Worlds:
    """The worlds with a user's runners in their places."""
    fields = {
        World.FLOAT: "float_model",
        World.QUANTISED: "quantised",
        World.CSIM: "csim",
        World.BOARD: "board",
    }
    if odd := [world for world in own if world not in fields]:
        raise RunnerError(f"a runner cannot take the place of the {odd[0]}; places are {', '.join(PLACES)}")
    changes = {fields[world]: GuardedRunner(runner, world, graph) for world, runner in own.items()}
    return replace(worlds, **changes)  # type: ignore[arg-type]


def _recorded(worlds: Worlds, writer: TraceWriter, graph: TaskGraph) -> Worlds:
    """The worlds, with the trace of the last one going to a file as well."""
    if worlds.board:
        return replace(worlds, board=RecordingRunner(worlds.board, writer, graph.inputs))
    assert worlds.csim is not None
    return replace(worlds, csim=RecordingRunner(worlds.csim, writer, graph.inputs))


def _open_trace(
    path: Path | str | None, graph: TaskGraph, manifest: Mapping[str, Any], stack: ExitStack
) -> TraceFile | None:
    if path is None:
        return None
    tapped = frozenset(spec["tensor"] for spec in manifest.get("taps", ()))
    file = TraceFile(Path(path), graph, tapped)
    stack.callback(file.close)
    return file


def _other_build(file: TraceFile | None, manifest: Mapping[str, Any]) -> list[str]:
    """A remark, if a trace says that it was made with other weights."""
    if file is None or file.about.weights in ("", manifest.get("weights", {}).get("sha256", "")):
        return []
    return [f"{file.path} was recorded with other weights than the project's: it is of another build"]


def _check_budget(graph: TaskGraph, budget: Budget | None) -> None:
    names = [*graph.inputs, *(task.name for task in graph.tasks)]
    if unknown := [name for name in (budget.layers if budget else ()) if name not in names]:
        raise BudgetError(
            f"the budget names layer {unknown[0]!r}, which the project does not have. Its layers are {', '.join(names)}"
        )


def _reproduce(project: Path, graph: TaskGraph, report: Report, options: str) -> None:
    """Keep the failing sample of this run; remove that of an earlier one."""
    folder = project / "verify" / "reproduction"
    if folder.is_dir():
        shutil.rmtree(folder)
    failing = next((one for one in report.divergences if one.sample is not None), None)
    if failing is not None and report.evidence is not None:
        reproduction.write(folder, project, graph, failing, report.evidence, options)

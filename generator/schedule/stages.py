"""The processes of a phase with their trip counts: what the cost model times."""

from __future__ import annotations

from dataclasses import dataclass

from ..cost import PHASE_OVERHEAD, Stage, chain_cycles
from ..machine.rows import WindowRow
from ..machine.units import MacHardware, UnitHardware
from ..machine.window import PatchPlan, Way
from ..machine.wiring import COLLECT, FETCH, Wiring, words_of
from ..task_graph import TaskGraph
from .plan import Phase, Schedule


@dataclass(frozen=True)
class PhaseCost:
    """Cycles of a phase, and of each of its tasks if the others never made it wait."""

    cycles: int
    tasks: dict[str, int]


def phase_cost(
    graph: TaskGraph, schedule: Schedule, phase: Phase, hardware: dict[str, UnitHardware], wiring: Wiring
) -> PhaseCost:
    """Cost of a phase whose tasks form a chain."""
    first = graph.task(phase.tasks[0])
    words = words_of(graph, first.inputs[0], schedule.lanes)
    chain = [_pass("fetch", words), *_switches(wiring.targets(FETCH), "route", words)]
    tasks: dict[str, int] = {}
    for assignment in phase.assignments:
        chain += _switches(wiring.sources(assignment.unit), "select", words)
        stages = task_stages(graph, assignment.task, hardware[assignment.unit], schedule.lanes)
        tasks[assignment.task] = max(stage.trips for stage in stages)
        words = words_of(graph, graph.task(assignment.task).output, schedule.lanes)
        chain += [*stages, _pass("tee", words), *_switches(wiring.targets(assignment.unit), "route", words)]
    chain += [*_switches(wiring.sources(COLLECT), "select", words), _pass("collect", words)]
    return PhaseCost(chain_cycles(chain) + PHASE_OVERHEAD, tasks)


def task_stages(graph: TaskGraph, name: str, unit: UnitHardware, lanes: int) -> list[Stage]:
    """Processes that a task passes through on its unit."""
    task = graph.task(name)
    index = unit.tasks.index(name)
    plan = unit.patches[index]
    input_words = words_of(graph, task.inputs[0], lanes)
    stages = [_window_stage(plan, input_words)] if plan.way is not Way.STRAIGHT else []
    if isinstance(unit, MacHardware):
        row, post = unit.macs[index], unit.posts[index]
        pixels = row.iterations // (row.folds * row.words)
        stages.append(Stage("mac", row.iterations, pixels * row.words, row.words, 1, (row.folds - 1) * row.words + 1))
        stages.append(Stage("post", post.iterations, pixels * row.folds, 1, 1, 1))
    else:
        pool = unit.pools[index]
        stages.append(Stage("pool", pool.iterations, pool.iterations, pool.positions, 1, 1))
    return stages


def _pass(kernel: str, words: int) -> Stage:
    return Stage(kernel, words, words)


def _switches(ends: tuple[str, ...], kernel: str, words: int) -> list[Stage]:
    """The switch in front of or behind a node, which exists only if there is a choice."""
    return [_pass(kernel, words)] if len(ends) > 1 else []


def _window_stage(plan: PatchPlan, input_words: int) -> Stage:
    row: WindowRow = plan.row
    rows = max((row.kernel_height - 1) * row.dilation_y - row.pad_top, 0)
    columns = max((row.kernel_width - 1) * row.dilation_x - row.pad_left, 0) + 1
    fill = min((rows * row.width + columns) * row.groups, input_words)
    return Stage("window", row.iterations, input_words, max(fill, 1), 1, plan.words)

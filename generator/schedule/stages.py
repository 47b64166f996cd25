"""The processes of a phase with their trip counts: what the cost model times."""

from __future__ import annotations

from dataclasses import dataclass

from ..cost import PHASE_OVERHEAD, Stage, chain_cycles
from ..machine.rows import WindowRow
from ..machine.units import MacHardware, UnitHardware
from ..machine.window import PatchPlan, Way
from ..machine.wiring import words_of
from ..task_graph import TaskGraph
from .plan import Phase, Schedule


@dataclass(frozen=True)
class PhaseCost:
    """Cycles of a phase, and of each of its tasks if the others never made it wait."""

    cycles: int
    tasks: dict[str, int]


def phase_cost(graph: TaskGraph, schedule: Schedule, phase: Phase, hardware: dict[str, UnitHardware]) -> PhaseCost:
    """Cost of a phase whose tasks form a chain."""
    first = graph.task(phase.tasks[0])
    chain = [_transfer(words_of(graph, first.inputs[0], schedule.lanes))]
    tasks: dict[str, int] = {}
    for assignment in phase.assignments:
        unit = hardware[assignment.unit]
        stages = task_stages(graph, assignment.task, unit, schedule.lanes)
        tasks[assignment.task] = max(stage.trips for stage in stages)
        chain += stages
    last = graph.task(phase.tasks[-1])
    chain.append(_transfer(words_of(graph, last.output, schedule.lanes)))
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
        stages.append(Stage(row.iterations, pixels * row.words, row.words, 1, (row.folds - 1) * row.words + 1))
        stages.append(Stage(post.iterations, pixels * row.folds, 1, 1, 1))
    else:
        pool = unit.pools[index]
        stages.append(Stage(pool.iterations, pool.iterations, pool.positions, 1, 1))
    return stages


def _transfer(words: int) -> Stage:
    return Stage(words, words)


def _window_stage(plan: PatchPlan, input_words: int) -> Stage:
    row: WindowRow = plan.row
    rows = max((row.kernel_height - 1) * row.dilation_y - row.pad_top, 0)
    columns = max((row.kernel_width - 1) * row.dilation_x - row.pad_left, 0) + 1
    fill = min((rows * row.width + columns) * row.groups, input_words)
    return Stage(row.iterations, input_words, max(fill, 1), 1, plan.words)

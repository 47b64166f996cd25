"""The kinds of units, in datapath order: within a phase, links lead from earlier to later kinds only."""

from __future__ import annotations

from collections.abc import Sequence

from ..schedule.plan import CombineUnit, MacUnit, Phase, PoolUnit, Schedule, ScheduleError, Unit
from ..task_graph import Task, TaskGraph
from ..work import CombineWork, MacWork, PoolWork
from .combine_unit import build_combine
from .hardware import Hardware
from .mac_unit import build_mac
from .pool_unit import build_pool

ORDER = (MacUnit, CombineUnit, PoolUnit)


def unit_for(graph: TaskGraph, task: Task, name: str, outputs: int = 0) -> Unit:
    """A unit that can run a task; `outputs` matters to mac units only."""
    match task.operator.work(task, graph):
        case MacWork():
            return MacUnit(name, outputs)
        case CombineWork():
            return CombineUnit(name)
        case PoolWork():
            return PoolUnit(name)


def build_hardware(graph: TaskGraph, schedule: Schedule) -> dict[str, Hardware]:
    """Every unit of a schedule, sized for its tasks, in datapath order.

    Raises:
        ScheduleError: a task is on a unit of another kind.
    """
    hardware: dict[str, Hardware] = {}
    for unit in schedule.units:
        runs = [
            (graph.task(assignment.task), phase, assignment.words)
            for phase in schedule.phases
            for assignment in phase.assignments
            if assignment.unit == unit.name
        ]
        tasks = [task for task, _, _ in runs]
        linked = [_linked(graph, task, phase) for task, phase, _ in runs]
        shares = [words for _, _, words in runs]
        hardware[unit.name] = _build(graph, unit, tasks, schedule.lanes, linked, shares)
    return hardware


def _linked(graph: TaskGraph, task: Task, phase: Phase) -> bool:
    """True if the phase also makes the task's first operand."""
    producer = graph.producers.get(task.inputs[0])
    return producer is not None and producer.name in phase.tasks


def _build(
    graph: TaskGraph,
    unit: Unit,
    tasks: Sequence[Task],
    lanes: int,
    linked: Sequence[bool],
    shares: Sequence[tuple[int, int] | None],
) -> Hardware:
    if not isinstance(unit, MacUnit) and any(shares):
        raise ScheduleError(f"unit {unit.name!r} cannot share a task: only mac units can")
    match unit:
        case MacUnit():
            return build_mac(graph, unit, tasks, lanes, linked, shares)
        case CombineUnit():
            return build_combine(graph, unit, tasks, lanes)
        case PoolUnit():
            return build_pool(graph, unit, tasks, lanes, linked)

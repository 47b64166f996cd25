"""The two pure schedules, which are also the baselines of every other: all-sequential and all-dataflow."""

from __future__ import annotations

from ..task_graph import Task, TaskGraph
from ..work import MacWork, PoolWork
from .plan import Assignment, MacUnit, Pattern, Phase, PoolUnit, Schedule, ScheduleError, Unit

ENGINE = "engine"
POOL = "pool"


def is_mac(graph: TaskGraph, task: Task) -> bool:
    """True if a task needs multipliers."""
    return isinstance(task.operator.work(task, graph), MacWork)


def is_pool(graph: TaskGraph, task: Task) -> bool:
    """True if a task runs on a pool unit."""
    return isinstance(task.operator.work(task, graph), PoolWork)


def sequential(graph: TaskGraph, lanes: int, outputs: int) -> Schedule:
    """One engine that runs the mac tasks one after the other.

    A pool task that alone reads the result of the task before it follows it through a link in the same phase: it
    needs no multipliers, so nothing waits for it.
    """
    phases: list[list[Assignment]] = []
    for task in graph.tasks:
        assignment = Assignment(task.name, ENGINE if is_mac(graph, task) else POOL)
        if phases and _follows(graph, task, phases[-1]):
            phases[-1].append(assignment)
        else:
            phases.append([assignment])
    used = {assignment.unit for phase in phases for assignment in phase}
    units: tuple[Unit, ...] = tuple(
        unit for unit in (MacUnit(ENGINE, outputs), PoolUnit(POOL)) if unit.name in used
    )
    return Schedule(
        "sequential", lanes, units, tuple(Phase(Pattern.SEQUENTIAL, tuple(phase)) for phase in phases)
    )


def _follows(graph: TaskGraph, task: Task, phase: list[Assignment]) -> bool:
    source = graph.producers.get(task.inputs[0])
    return (
        is_pool(graph, task)
        and source is not None
        and [source.name] == [assignment.task for assignment in phase if assignment.unit == ENGINE]
        and len(phase) == 1
        and graph.consumers[task.inputs[0]] == (task,)
        and task.inputs[0] not in graph.outputs
    )


def dataflow(graph: TaskGraph, lanes: int, outputs: dict[str, int]) -> Schedule:
    """One unit for every task, all in one phase.

    Args:
        graph: a chain of tasks.
        lanes: elements per word.
        outputs: output channels per pass of each mac task's unit.

    Raises:
        ScheduleError: the graph branches.
    """
    for before, after in zip(graph.tasks, graph.tasks[1:], strict=False):
        if after.inputs != (before.output,) or before.output in graph.outputs:
            raise ScheduleError(f"tasks {before.name!r} and {after.name!r} do not form a chain")
    units: tuple[Unit, ...] = tuple(
        MacUnit(task.name, outputs[task.name]) if task.name in outputs else PoolUnit(task.name)
        for task in graph.tasks
    )
    assignments = tuple(Assignment(task.name, task.name) for task in graph.tasks)
    return Schedule("dataflow", lanes, units, (Phase(Pattern.DATAFLOW, assignments),))

"""The two pure schedules, which are also the baselines of every other: all-sequential and all-dataflow."""

from __future__ import annotations

from ..machine.unit_kinds import kind_of, rank, unit_for
from ..task_graph import Task, TaskGraph
from .plan import Assignment, Pattern, Phase, Schedule, Unit


def sequential(graph: TaskGraph, lanes: int, outputs: int) -> Schedule:
    """One unit of each kind; the mac tasks run one after the other.

    A task of another kind that alone reads the result of the task before it follows it through a link in the same
    phase: it needs none of the engine's multipliers, so nothing waits for it.
    """
    units: dict[str, Unit] = {}
    phases: list[list[Assignment]] = []
    for task in graph.tasks:
        name = kind_of(graph, task).name
        units[name] = unit_for(graph, task, name, outputs)
        if phases and not units[name].is_engine and _follows(graph, task, units[name], phases[-1], units):
            phases[-1].append(Assignment(task.name, name))
        else:
            phases.append([Assignment(task.name, name)])
    ordered = tuple(sorted(units.values(), key=rank))
    return Schedule("sequential", lanes, ordered, tuple(Phase(Pattern.SEQUENTIAL, tuple(p)) for p in phases))


def dataflow(graph: TaskGraph, lanes: int, outputs: dict[str, int]) -> Schedule:
    """One unit for every task, all in one phase.

    Args:
        graph: the tasks.
        lanes: elements per word.
        outputs: output channels per pass of each mac task's unit.
    """
    units = tuple(unit_for(graph, task, task.name, outputs.get(task.name, 0)) for task in graph.tasks)
    assignments = tuple(Assignment(task.name, task.name) for task in graph.tasks)
    return Schedule("dataflow", lanes, units, (Phase(Pattern.DATAFLOW, assignments),))


def _follows(
    graph: TaskGraph, task: Task, unit: Unit, phase: list[Assignment], units: dict[str, Unit]
) -> bool:
    """True if a task can take the phase's result through a link, and only that result leaves the phase so far."""
    last = graph.task(phase[-1].task)
    return (
        task.inputs.count(last.output) == 1
        and graph.consumers[last.output] == (task,)
        and last.output not in graph.outputs
        and rank(unit) > rank(units[phase[-1].unit])
    )

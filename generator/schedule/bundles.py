"""Bundles: a task together with the moves and constants that are its operands, which run in its phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..machine.wiring import leads, read_problem, reads_of
from ..task_graph import Task, TaskGraph


@dataclass(frozen=True, eq=False)
class Bundle:
    """A task, and before it the moves and constants that only it needs; what several tasks need is a bundle of its own."""

    leaders: tuple[Task, ...]
    task: Task

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All of them, in topological order."""
        return (*self.leaders, self.task)


def bundles(graph: TaskGraph) -> tuple[Bundle, ...]:
    """All tasks, in topological order of the bundles.

    A task takes its moves and constants along as long as one phase can read all that it then reads.
    """
    led: dict[str, list[Task]] = {}
    leaders: set[str] = set()
    for task in graph.tasks:
        if leads(graph, task):
            continue
        for name in dict.fromkeys(task.inputs):
            before = graph.producers.get(name)
            if before is None or not leads(graph, before):
                continue
            if graph.consumers[name] != (task,) or name in graph.outputs or task.inputs.count(name) > 1:
                continue
            together = [*led.get(task.name, []), before]
            if not read_problem(graph, reads_of(graph, _names([*together, task]))):
                led[task.name] = together
                leaders.add(before.name)
    return tuple(
        Bundle(tuple(led.get(task.name, ())), task) for task in graph.tasks if task.name not in leaders
    )


def _names(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(task.name for task in tasks)

"""A kind of unit: what it takes to add hardware for a new kind of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..schedule.plan import Unit
from ..task_graph import Task, TaskGraph
from ..work import Work
from .hardware import Hardware


@dataclass(frozen=True, eq=False)
class Run:
    """A task that a unit runs in some phase.

    Attributes:
        task: the task.
        linked: True if its first operand comes from another unit in the same phase, at that unit's pace.
        words: the range of output words of every pixel that the unit makes; None for all.
    """

    task: Task
    linked: bool = False
    words: tuple[int, int] | None = None


@dataclass(frozen=True)
class UnitKind:
    """A kind of unit.

    Attributes:
        name: of the kind, and of its units where they are shared by all tasks.
        work: the class of Work that it runs.
        build: sizes a unit for its runs, in time order: (graph, unit, runs, lanes).
        multiplies: True if the unit has a multiplier per lane of its own, beside those of `Unit.outputs`.
    """

    name: str
    work: type[Work]
    build: Callable[[TaskGraph, Unit, Sequence[Run], int], Hardware]
    multiplies: bool = False

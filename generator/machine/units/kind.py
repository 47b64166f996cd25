"""A kind of unit: what it takes to add hardware for a new kind of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...schedule.plan import Unit, Weights
from ...task_graph import TaskGraph
from ...work import Work
from ..hardware import Hardware
from ..run import Run


@dataclass(frozen=True)
class UnitKind:
    """A kind of unit.

    Attributes:
        name: of the kind, and of its units where they are shared by all tasks.
        work: the class of Work that it runs.
        build: sizes a unit for its runs, in time order: (graph, unit, runs, lanes, weights).
    """

    name: str
    work: type[Work]
    build: Callable[[TaskGraph, Unit, Sequence[Run], int, Weights], Hardware]

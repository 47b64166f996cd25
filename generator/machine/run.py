"""What a unit does in a phase."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from ..task_graph import Task


@dataclass(frozen=True, eq=False)
class Run:
    """A task, or a share of it, that a unit runs in a phase.

    Attributes:
        phase: index of the phase.
        task: the task.
        pace: cycles over which its first operand comes from another unit in the same phase; 0 if it comes from memory,
            a word per cycle.
        words: the range of output words of every pixel that the unit makes; None for all.
    """

    phase: int
    task: Task
    pace: int = 0
    words: tuple[int, int] | None = None


def index_of(runs: Sequence[Run], phase: int) -> int:
    """Number of the run that a unit has in a phase; runs are in the order of phases."""
    return bisect_left(runs, phase, key=lambda run: run.phase)

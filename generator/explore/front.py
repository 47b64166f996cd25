"""The Pareto front: the points that no other point of the same board beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .choice import Choice
from .cost import Cost
from .quality import Quality


@dataclass(frozen=True)
class Point:
    """A choice with all that was found out about it; `reason` says why it is infeasible."""

    number: int
    choice: Choice
    cost: Cost | None
    quality: Quality | None
    reason: str | None

    @property
    def merits(self) -> tuple[float, ...]:
        """What the front compares, each to be small: the objectives in the order of OBJECTIVES."""
        assert self.cost is not None and self.quality is not None
        cost = self.cost
        return (
            cost.latency_us,
            cost.interval_us,
            cost.dsp,
            cost.bram18,
            cost.uram,
            cost.off_chip_bytes,
            -self.quality.merit,
        )


OBJECTIVES = ("latency", "interval", "DSPs", "BRAM", "URAM", "off-chip traffic", "accuracy")
"""Names of `Point.merits`."""


@dataclass(frozen=True)
class Standing:
    """How a feasible point stands among those of its board.

    Attributes:
        beaten_by: number of a point at least as good in every objective, and better in one; None on the front. Of
            several, one on the front.
        same_as: number of the first point with the very same merits, if that is another one.
    """

    beaten_by: int | None = None
    same_as: int | None = None

    @property
    def on_front(self) -> bool:
        """True for a point that nothing beats, the first of its kind."""
        return self.beaten_by is None and self.same_as is None


def standings(points: Sequence[Point]) -> dict[int, Standing]:
    """By number, how every feasible point stands."""
    result: dict[int, Standing] = {}
    for board in dict.fromkeys(point.choice.board for point in points):
        result |= _on_board([p for p in points if p.choice.board == board and p.reason is None])
    return result


def _on_board(points: Sequence[Point]) -> dict[int, Standing]:
    first: dict[tuple[float, ...], int] = {}
    for point in points:
        first.setdefault(point.merits, point.number)
    front = {
        merits: number
        for merits, number in first.items()
        if not any(dominates(other, merits) for other in first)
    }
    result = {}
    for point in points:
        winner = next((number for merits, number in front.items() if dominates(merits, point.merits)), None)
        same = first[point.merits]
        result[point.number] = Standing(winner, same if same != point.number else None)
    return result


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """True if one is nowhere larger, and somewhere smaller."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))

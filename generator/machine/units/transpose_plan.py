"""How a transpose walks over memory: strips of words, each of which becomes a few pixels of the result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...nest import Indices, Nest, factor
from ...schedule.plan import ScheduleError
from ...work import MoveWork, TransposeWork
from .move_plan import addresses, plan_move

GAP = 16
"""Iterations between the last word of a strip and the first of the next: more than the pipeline is deep."""


@dataclass(frozen=True)
class TransposePlan:
    """Strips of `depth` words, of each of which `width` elements are taken.

    Attributes:
        strips: in all.
        depth: words of a strip: channels of the result.
        width: pixels of the result that a strip makes, a power of two.
        result_words: that a strip makes.
        nest: addresses of the first element taken of every word; a word is `lanes` addresses.
    """

    strips: int
    depth: int
    width: int
    result_words: int
    nest: Nest

    @property
    def slot(self) -> int:
        """Iterations from the start of a strip to that of the next."""
        return max(self.depth, self.result_words) + GAP

    @property
    def iterations(self) -> int:
        """Of the process."""
        return self.strips * self.slot + self.result_words


@lru_cache(maxsize=1024)
def plan_transpose(work: TransposeWork, lanes: int) -> TransposePlan:
    """The plan with the widest strips.

    Raises:
        ScheduleError: the addresses follow no nest of counters.
    """
    elements = addresses(work, lanes).reshape(work.pixels, work.channels)
    width = lanes
    while not _wide(elements[:, 0], width, lanes):
        width //= 2
    starts = elements[::width]
    nest = factor(starts)
    if nest is None:
        raise ScheduleError(f"no nest of counters walks over the transpose of {work.source_shape}")
    return TransposePlan(len(starts), work.channels, width, width * -(-work.channels // lanes), nest)


def _wide(starts: Indices, width: int, lanes: int) -> bool:
    """True if every so many pixels begin side by side in one word of the source."""
    if len(starts) % width:
        return False
    strips = starts.reshape(-1, width)
    aligned = strips[:, 0] % width == 0
    return bool(width <= lanes and aligned.all() and (strips == strips[:, :1] + np.arange(width)).all())


def view_nest(work: MoveWork, lanes: int) -> Nest:
    """How the feed of a move or transpose walks over memory."""
    return (
        plan_transpose(work, lanes).nest if isinstance(work, TransposeWork) else plan_move(work, lanes).nest
    )

"""How a move walks over memory: pieces of words, and a nest of counters over their addresses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from ...nest import FILL, Indices, Nest, factor
from ...schedule.plan import ScheduleError
from ...work import MoveWork

MOST_SPREAD = 2
"""Most times that a piece repeats each element, as a power of two."""


@dataclass(frozen=True)
class MovePlan:
    """Pieces that lie side by side in one word of the source and in one word of the result.

    Attributes:
        piece: elements of a piece in the result, a power of two up to the lanes.
        pieces: pieces of every pixel.
        last: elements of the last piece of a pixel.
        nest: addresses of the pieces' first elements; a word is `lanes` addresses.
        spread: times that every element of the source stands in a piece, as a power of two.
    """

    piece: int
    pieces: int
    last: int
    nest: Nest
    spread: int = 0


@lru_cache(maxsize=1024)
def plan_move(work: MoveWork, lanes: int) -> MovePlan:
    """The plan with the largest pieces.

    Raises:
        ScheduleError: the addresses follow no nest of counters.
    """
    elements = addresses(work, lanes)
    piece = lanes
    while piece:
        for spread in _spreads(elements, piece):
            starts = _starts(elements[..., :: 1 << spread], piece >> spread, lanes)
            nest = None if starts is None else factor(starts)
            if starts is not None and nest is not None:
                pieces = starts.shape[-1]
                return MovePlan(piece, pieces, work.channels - (pieces - 1) * piece, nest, spread)
        piece //= 2
    raise ScheduleError(
        f"values of shape {work.source_shape}, channels on axis {work.source_axis}, cannot be moved into shape "
        f"{work.shape} with channels on axis {work.channel_axis}: no nest of counters walks over them"
    )


def _spreads(elements: Indices, piece: int) -> list[int]:
    """How often pieces may repeat each element: once, or as often as all elements are repeated; as powers of two."""
    found = [0]
    channels = elements.shape[-1]
    while (times := 2 << found[-1]) <= min(piece, 1 << MOST_SPREAD) and channels % times == 0:
        groups = elements.reshape(*elements.shape[:-1], -1, times)
        if (groups != groups[..., :1]).any():
            break
        found.append(found[-1] + 1)
    return found


def addresses(work: MoveWork, lanes: int) -> Indices:
    """Address of the source of every element of the result, by pixel axes and channel."""
    flat = np.moveaxis(work.nest.indices().reshape(work.shape), work.channel_axis, -1)
    channels = work.source_shape[work.source_axis]
    padded = -(-channels // lanes) * lanes
    pixels = prod(work.source_shape) // channels
    in_memory = (np.arange(pixels)[:, np.newaxis] * padded + np.arange(channels)).reshape(-1)
    pixel_axes = [size for axis, size in enumerate(work.source_shape) if axis != work.source_axis]
    in_order = np.moveaxis(in_memory.reshape(*pixel_axes, channels), -1, work.source_axis).reshape(-1)
    found: Indices = np.where(flat == FILL, FILL, in_order[np.maximum(flat, 0)])
    return found


def _starts(elements: Indices, piece: int, lanes: int) -> Indices | None:
    """First address of every piece, if the elements of each lie side by side in a word or have no source."""
    channels = elements.shape[-1]
    count = -(-channels // piece)
    grown = np.zeros((*elements.shape[:-1], count * piece), dtype=np.int64)
    grown[..., :channels] = elements
    grown = grown.reshape(*elements.shape[:-1], count, piece)
    starts = grown[..., 0]
    wanted = np.where(starts[..., np.newaxis] == FILL, FILL, starts[..., np.newaxis] + np.arange(piece))
    counted = (np.arange(count * piece) < channels).reshape(count, piece)
    beyond = (starts[..., np.newaxis] != FILL) & (starts[..., np.newaxis] % lanes + np.arange(piece) >= lanes)
    return starts if not (((grown != wanted) | beyond) & counted).any() else None

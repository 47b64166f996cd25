"""Which moves of data repeat every pixel of an image, as Resize to the nearest does by whole factors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .nest import Nest

_SHORTEST_ROW = 8
"""A line buffer is read and written in one cycle; a row of the result must be longer than that pipeline."""

_WIDEST_WORD = 32
"""Pixels of a word of pixels, at most."""


@lru_cache(maxsize=4096)
def repetition(
    nest: Nest, shape: tuple[int, ...], channel_axis: int, source_shape: tuple[int, ...], source_axis: int
) -> tuple[int, int] | None:
    """How often a move repeats rows and columns of an image; None if it does anything else, or rows are too short.

    Images are (1, channels, height, width) with channels side by side in words, or (1, 1, height, width) with the pixels of a row.
    """
    if len(shape) != 4 or len(source_shape) != 4 or channel_axis != source_axis:
        return None
    rows = channel_axis == 3 and shape[1] == 1
    (_, channels, height, width), (_, out_channels, out_height, out_width) = source_shape, shape
    if (
        not (rows or channel_axis == 1)
        or channels != out_channels
        or out_height % height
        or out_width % width
    ):
        return None
    down, across = out_height // height, out_width // width
    if out_width < _SHORTEST_ROW * (_WIDEST_WORD if rows else 1) or (rows and across & (across - 1)):
        return None
    found = (
        np.arange(channels * height * width).reshape(source_shape).repeat(down, axis=2).repeat(across, axis=3)
    )
    return (down, across) if np.array_equal(nest.indices().reshape(shape), found) else None

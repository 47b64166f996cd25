"""Which moves of data exchange channels with pixels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .nest import FILL, Nest

_LEAST = 4
"""Channels, and pixels side by side, below which elements may as well move one by one."""


@lru_cache(maxsize=4096)
def exchanges(
    nest: Nest, shape: tuple[int, ...], channel_axis: int, source_shape: tuple[int, ...], source_axis: int
) -> bool:
    """True if the channels of every pixel of the result are one channel of equally distant pixels of the source.

    Beside that, as many pixels side by side are as many channels side by side.
    """
    flat = np.moveaxis(nest.indices().reshape(shape), channel_axis, -1).reshape(-1, shape[channel_axis])
    if flat.shape[1] < _LEAST or len(flat) % _LEAST or (flat == FILL).any():
        return False
    pixels, channels = _coordinates(flat, source_shape, source_axis)
    if (channels != channels[:, :1]).any():
        return False
    steps = np.diff(pixels, axis=1)
    if steps[0, 0] <= 0 or (steps != steps[0, 0]).any():
        return False
    first, starts = pixels[:, 0].reshape(-1, _LEAST), channels[:, 0].reshape(-1, _LEAST)
    side_by_side = (starts == starts[:, :1] + np.arange(_LEAST)) & (first == first[:, :1])
    return bool(side_by_side.all() and (starts[:, 0] % _LEAST == 0).all())


def _coordinates(indices: np.ndarray, shape: tuple[int, ...], axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel and channel of every index into an array of this shape with channels on this axis."""
    along = list(np.unravel_index(indices, shape))
    channels = along.pop(axis)
    pixel_shape = [size for number, size in enumerate(shape) if number != axis]
    pixels = np.ravel_multi_index(along, pixel_shape) if along else np.zeros_like(channels)
    return pixels, channels

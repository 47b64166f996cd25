"""Pictures of tensors: every channel a small map, all of them tiled side by side."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from intarsia.task_graph import Tensor

from .runner import Array

MAX_CHANNELS = 64
GAP = 1
ROW = 64
_ZERO = np.array([38, 42, 52], np.float64)
_POSITIVE = np.array([255, 214, 102], np.float64)
_NEGATIVE = np.array([88, 166, 255], np.float64)
_WRONG = np.array([255, 64, 64], np.float64)
_GAP = np.array([120, 124, 134], np.uint8)

Pixels = NDArray[np.uint8]


def picture(tensor: Tensor, raw: Array, limit: int) -> Pixels:
    """Raw integers as colours: zero dark, positive yellow, negative blue, full colour at +-limit."""
    maps = channel_maps(tensor, raw)
    scale = np.clip(np.abs(maps) / max(limit, 1), 0, 1)[..., np.newaxis] ** 0.7
    colours = _ZERO + scale * (np.where(maps[..., np.newaxis] < 0, _NEGATIVE, _POSITIVE) - _ZERO)
    return _tile(colours.astype(np.uint8))


def difference_picture(tensor: Tensor, expected: Array, got: Array) -> Pixels:
    """Where two tensors differ: red, at least half bright for a single LSB; equal elements are dark."""
    delta = np.abs(channel_maps(tensor, got) - channel_maps(tensor, expected))
    scale = np.where(delta > 0, 0.5 + 0.5 * delta / max(int(delta.max()), 1), 0)[..., np.newaxis]
    return _tile((_ZERO + scale * (_WRONG - _ZERO)).astype(np.uint8))


def channel_maps(tensor: Tensor, raw: Array) -> NDArray[np.int64]:
    """(channels, height, width) of one sample; a vector becomes rows of up to ROW elements."""
    values = np.asarray(raw, np.int64).reshape(tensor.shape)
    if len(tensor.shape) == 4 and tensor.channel_axis == 1:
        return values[0, :MAX_CHANNELS]
    if values.size == values.shape[-1]:
        flat = values.reshape(-1)[: ROW * ROW]
        width = min(ROW, math.ceil(2 * math.sqrt(flat.size)), flat.size)
        return np.pad(flat, (0, -flat.size % width)).reshape(1, -1, width)
    return values.reshape(1, -1, values.shape[-1])[:, : ROW * 4]


def _tile(maps: NDArray[np.uint8]) -> Pixels:
    """Channels in a wide grid."""
    channels, height, width, _ = maps.shape
    least = min(channels, max(1, math.ceil(math.sqrt(channels * height / width * 2))))
    columns = next((count for count in range(least, 2 * least) if channels % count == 0), least)
    rows = math.ceil(channels / columns)
    result = np.empty((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), np.uint8)
    result[:] = _GAP
    for channel in range(channels):
        top, left = (channel // columns) * (height + GAP), (channel % columns) * (width + GAP)
        result[top : top + height, left : left + width] = maps[channel]
    return result

"""From weights and biases to the entries of the on-chip memories, and to the bytes of weights.bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..fixed_point import Integers
from ..operator import Array
from .units.window import Way


def pack_weights(by_position: Array, way: Way, lanes: int, outputs: int) -> Integers:
    """Weight entries of one task in the order in which mac reads them.

    Args:
        by_position: (output channels, kernel positions or pixels of a patch, input channels).
        way: how the window process orders a patch.
        lanes: elements per word.
        outputs: output channels per entry.

    Returns:
        (folds * words, outputs * lanes): row-major rows of lanes, zero where padded.
    """
    channels_out, positions, channels = by_position.shape
    if way is Way.PACKED:
        flat = by_position.reshape(channels_out, positions * channels)
        words = _pad(flat, 1, lanes).reshape(channels_out, -1, lanes)
    else:
        grouped = _pad(by_position, 2, lanes).reshape(channels_out, positions, -1, lanes)
        order = (0, 2, 1, 3) if way is Way.ROWS else (0, 1, 2, 3)
        words = grouped.transpose(order).reshape(channels_out, -1, lanes)
    folds = _pad(words, 0, outputs).reshape(-1, outputs, words.shape[1], lanes)
    return folds.transpose(0, 2, 1, 3).reshape(-1, outputs * lanes)


def pack_biases(columns: Sequence[Integers], lanes: int) -> Integers:
    """Bias entries of one task: for each word of a pixel `lanes` numbers of every column, zero where padded.

    Args:
        columns: (output channels,) each: the biases, then what else post needs to know of each channel.
        lanes: elements per word.
    """
    return np.concatenate([_pad(column, 0, lanes).reshape(-1, lanes) for column in columns], axis=1)


def to_bytes(entries: Integers, element_bytes: int, word_bytes: int) -> bytes:
    """Little-endian bytes of memory entries, each padded to whole DRAM words (hls_kernels/load.hpp)."""
    size = entries.shape[1] * element_bytes
    rows = np.ascontiguousarray(entries, dtype=f"<i{element_bytes}").view(np.uint8).reshape(-1, size)
    return _pad(rows, 1, word_bytes).tobytes()


def _pad(values: Array, axis: int, multiple: int) -> Array:
    widths = [(0, 0)] * values.ndim
    widths[axis] = (0, -values.shape[axis] % multiple)
    return np.pad(values, widths)

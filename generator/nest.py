"""Nests: moves of data as counters. An array of source indices is found back as base + sum of digit * stride.

What Transpose, Slice, Pad, DepthToSpace, Expand and all their compositions do to the values of a tensor is an array that
says, for every element of the result, which element of the source it is. `factor` turns such an array into a few nested
counters, which is what hardware can walk over with an addition per step; `indices` turns them back. Where the steps of a
counter differ (a reflected border, a Gather in any order), a table holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

FILL = -1
"""Index of an element that comes from nowhere: it is a constant."""

LONGEST_TABLE = 4096
"""Most steps of one counter that a table holds."""

Stride = int | tuple[int, ...]
"""What a counter adds to the source index: so much for each step, or, where steps differ, these for each of its values."""

Digit = tuple[int, Stride, int, int]
"""A counter: its extent, its stride, and the range [low, high) in which there is a source."""


@dataclass(frozen=True)
class Nest:
    """Source index = offset + sum over digits of what each counter adds, where every counter is within its range.

    `digits` are outermost first; the product of their extents is the number of elements.
    """

    offset: int
    digits: tuple[Digit, ...]

    @property
    def steps(self) -> int:
        """Elements in all."""
        return prod(extent for extent, *_ in self.digits)

    @property
    def table_entries(self) -> int:
        """Steps that tables hold."""
        return sum(len(stride) for _, stride, *_ in self.digits if not isinstance(stride, int))

    @property
    def sourced(self) -> int:
        """Elements that have a source."""
        return prod(high - low for _, _, low, high in self.digits)

    def indices(self) -> Indices:
        """Source index of every element, in order; FILL where there is none."""
        found = np.array([self.offset], dtype=np.int64)
        valid = np.array([True])
        for extent, stride, low, high in self.digits:
            counter = np.arange(extent, dtype=np.int64)
            added = counter * stride if isinstance(stride, int) else np.array(stride, dtype=np.int64)
            found = (found[:, np.newaxis] + added).reshape(-1)
            valid = (valid[:, np.newaxis] & (counter >= low) & (counter < high)).reshape(-1)
        return np.where(valid, found, FILL)


def factor(indices: Indices) -> Nest | None:
    """The nest that gives these indices, or None if no nest does.

    Args:
        indices: source index of every element of the result, in its shape; FILL where there is none. Those with a
            source must be a box: a range of every axis.
    """
    box = _box(indices >= 0)
    if box is None:
        return None
    core = indices[tuple(slice(low, high) for low, high in box)]
    partial = [(low, high) != (0, size) for (low, high), size in zip(box, indices.shape, strict=True)]
    digits: list[Digit] = []
    shift = 0
    axis = indices.ndim
    while axis > 0:
        axis -= 1
        if partial[axis]:
            size, (low, high) = indices.shape[axis], box[axis]
            stride = _stride(core)
            if stride is None:
                return None
            if isinstance(stride, int):
                shift += low * stride
            else:  # what counters add where there is no source does not matter
                stride = (0,) * low + stride + (stride[-1],) * (size - high)
            digits.append((size, stride, low, high))
            core = core[..., 0]
            continue
        while axis > 0 and not partial[axis - 1]:
            axis -= 1
        core = core.reshape(*core.shape[:axis], -1)
        while core.shape[-1] > 1:
            found = _innermost(core) or _innermost_table(core)
            if found is None:
                return None
            extent, stride = found
            digits.append((extent, stride, 0, extent))
            core = core.reshape(*core.shape[:-1], -1, extent)[..., 0]
        core = core[..., 0]
    return Nest(int(core) - shift, tuple(reversed(digits)))


def _box(valid: NDArray[np.bool_]) -> list[tuple[int, int]] | None:
    """The ranges of the axes whose product the valid elements are; None if they are no box, or none."""
    if not valid.any():
        return None
    ranges = []
    for axis in range(valid.ndim):
        along = np.flatnonzero(valid.any(axis=tuple(a for a in range(valid.ndim) if a != axis)))
        ranges.append((int(along[0]), int(along[-1]) + 1))
    inside = valid[tuple(slice(low, high) for low, high in ranges)]
    return ranges if inside.all() and int(valid.sum()) == inside.size else None


def _stride(values: Indices) -> Stride | None:
    """The stride along the last axis; None if it is not the same everywhere, or too long for a table."""
    size = values.shape[-1]
    if size == 1:
        return 0
    steps = np.diff(values, axis=-1)
    first = int(steps.flat[0])
    if (steps == first).all():
        return first
    if size > LONGEST_TABLE or not (steps == steps.reshape(-1, size - 1)[0]).all():
        return None
    row = values.reshape(-1, size)[0]
    return tuple((row - row[0]).tolist())


def _innermost_table(values: Indices) -> tuple[int, Stride] | None:
    """Extent and stride of the shortest innermost counter along the last axis, whatever its steps."""
    size = values.shape[-1]
    for extent in range(2, min(size, LONGEST_TABLE) + 1):
        if size % extent == 0:
            stride = _stride(values.reshape(*values.shape[:-1], -1, extent))
            if stride is not None:
                return extent, stride
    return None


def _innermost(values: Indices) -> tuple[int, Stride] | None:
    """Extent and stride of the longest innermost counter along the last axis."""
    size = values.shape[-1]
    first = values.reshape(-1, size)[0]
    stride = int(first[1] - first[0])
    breaks = np.flatnonzero(np.diff(first) != stride)
    longest = int(breaks[0]) + 1 if len(breaks) else size
    for extent in range(longest, 1, -1):
        if size % extent == 0:
            steps = np.diff(values.reshape(*values.shape[:-1], -1, extent), axis=-1)
            if (steps == stride).all():
                return extent, stride
    return None

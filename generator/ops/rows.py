"""What operators over the rows of a tensor share: a row is the channels of one pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import IntarsiaError
from ..operator import Array

if TYPE_CHECKING:
    from ..task_graph import Tensor


def to_rows(x: Array, axis: int) -> Array:
    """(rows, elements) of samples of shape (samples, *tensor shape), whose rows lie along `axis` of the tensor."""
    return np.moveaxis(x, axis + 1, -1).reshape(-1, x.shape[axis + 1])


def from_rows(rows: Array, x: Array, axis: int) -> Array:
    """The inverse of `to_rows`, for samples of the shape of x."""
    moved = np.moveaxis(x, axis + 1, -1).shape
    return np.moveaxis(rows.reshape(moved), -1, axis + 1)


def infer_rows(x: Tensor, axis: int, length: int) -> tuple[tuple[int, ...], int]:
    """Shape and channel axis of a result like x, whose rows of `length` elements lie along `axis`.

    Raises:
        IntarsiaError: the rows have another length.
    """
    if x.shape[axis] != length:
        raise IntarsiaError(f"{x.name!r} of shape {x.shape} has no rows of {length} on axis {axis}")
    return x.shape, axis

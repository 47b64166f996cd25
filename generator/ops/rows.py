"""What operators over the rows of a tensor share: a row is the channels of one pixel."""

from __future__ import annotations

import numpy as np

from ..operator import Array


def to_rows(x: Array, axis: int) -> Array:
    """(rows, elements) of samples of shape (samples, *tensor shape), whose rows lie along `axis` of the tensor."""
    return np.moveaxis(x, axis + 1, -1).reshape(-1, x.shape[axis + 1])


def from_rows(rows: Array, x: Array, axis: int) -> Array:
    """The inverse of `to_rows`, for samples of the shape of x."""
    moved = np.moveaxis(x, axis + 1, -1).shape
    return np.moveaxis(rows.reshape(moved), -1, axis + 1)

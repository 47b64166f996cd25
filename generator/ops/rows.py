"""What operators over the rows of a tensor share: a row is the channels of one pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..operator import Array

if TYPE_CHECKING:
    from ..onnx_node import OnnxNode
    from ..task_graph import Tensor


def row_axis(node: OnnxNode, x: Tensor, axis: int) -> int:
    """The axis, counted from the front, which must be that of the channels.

    Raises:
        IntarsiaError: it is another.
    """
    axis %= len(x.shape)
    node.require(
        axis == x.channel_axis,
        f"it works along axis {axis} of {x.name!r} of shape {x.shape}, whose channels are on axis {x.channel_axis}. "
        f"Supported: axis {x.channel_axis}",
    )
    return axis


def to_rows(x: Array, axis: int) -> Array:
    """(rows, elements) of samples of shape (samples, *tensor shape), whose rows lie along `axis` of the tensor."""
    return np.moveaxis(x, axis + 1, -1).reshape(-1, x.shape[axis + 1])


def from_rows(rows: Array, x: Array, axis: int) -> Array:
    """The inverse of `to_rows`, for samples of the shape of x."""
    moved = np.moveaxis(x, axis + 1, -1).shape
    return np.moveaxis(rows.reshape(moved), -1, axis + 1)

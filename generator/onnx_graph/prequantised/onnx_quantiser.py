"""QuantizeLinear and DequantizeLinear as grids."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto, helper

from ...operator import Array
from ..rewriter import Rewriter, attributes_of, error
from .grid import Grid

BITS: dict[int, tuple[int, bool]] = {
    TensorProto.INT4: (4, True),
    TensorProto.UINT4: (4, False),
    TensorProto.INT8: (8, True),
    TensorProto.UINT8: (8, False),
    TensorProto.INT16: (16, True),
    TensorProto.UINT16: (16, False),
    TensorProto.INT32: (32, True),
}


def grid_of(rewriter: Rewriter, node: NodeProto, elements: int, rank: int | None) -> Grid:
    """The grid of a QuantizeLinear or DequantizeLinear.

    Args:
        rewriter: knows constants.
        node: the node.
        elements: element type of its integers.
        rank: axes of its tensor; None if it is not known, and scales must then be single numbers.

    Raises:
        IntarsiaError: the node asks for something that no grid is.
    """
    if elements not in BITS:
        kind = TensorProto.DataType.Name(elements).lower()
        raise error(
            node, f"its integers are {kind}. Supported: int4 to int16, uint4 to uint16, and int32 for a bias"
        )
    attributes = attributes_of(node)
    if attributes.get("block_size", 0):
        raise error(
            node, f"block_size is {attributes['block_size']}. Supported: 0 (one scale, or one per channel)"
        )
    scale = np.asarray(rewriter.value(node, 1), dtype=np.float64)
    zero = np.asarray(rewriter.value(node, 2, np.zeros(scale.shape, np.int8)), dtype=np.float64)
    bits, signed = BITS[elements]
    axis = attributes.get("axis", 1)
    return Grid(_along(scale, axis, rank), _along(zero, axis, rank), bits, signed)


def _along(values: Array, axis: int, rank: int | None) -> Array:
    """One number, or numbers along an axis of a tensor."""
    if values.size == 1 or rank is None:
        return values.reshape(()) if values.size == 1 else values
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def element_type(array: Array) -> int:
    """ONNX's name for the type of an array."""
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))

"""LayerNormalization and RMSNormalization over several axes: over the last one, of a tensor where these are one axis."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from ..rewriter import attributes_of, error
from .decomposer import Decomposer


def row_normalisation(into: Decomposer, node: NodeProto) -> None:
    """Reshape to rows, normalise, and back; nothing for one axis."""
    shape = into.shape(node, node.input[0])
    given = attributes_of(node)
    axis = given.get("axis", -1) % len(shape)
    size = prod(shape[axis:])
    if size == shape[-1] or axis == 0:
        into.keep(node)
        return
    if more := [name for name in node.output[1:] if name]:
        raise error(node, f"its further result {more[0]!r} is read. Supported: the first result only")
    rows = into.reshape(node.input[0], (*shape[:axis], size))
    parameters = []
    for index, name in enumerate(node.input[1:], 1):
        if name:
            values = np.broadcast_to(into.weights(node, index), shape[axis:])
            parameters.append(into.floats(values.reshape(-1), ("scale", "bias")[index - 1]))
    kept = {key: value for key, value in given.items() if key != "axis"}
    into.reshape(into.node(node.op_type, [rows, *parameters], axis=-1, **kept), shape, node.output[0])

"""PRelu with several slopes: the larger of x and slope * x, or, for slopes above 1, x + (slope - 1) * min(x, 0)."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from .decomposer import Decomposer


def prelu(into: Decomposer, node: NodeProto) -> None:
    """Mul and Max. One slope for all elements is a function of single elements, and stays."""
    slopes = into.weights(node, 1)
    if np.unique(slopes).size == 1:
        into.keep(node)
        return
    x = node.input[0]
    if (slopes <= 1).all():
        into.node("Max", [x, into.node("Mul", [x, into.floats(slopes, "slopes")])], node.output[0])
        return
    negative = into.node("Neg", [into.node("Relu", [into.node("Neg", [x])])])
    more = into.node("Mul", [negative, into.floats(slopes - 1, "slopes less 1")])
    into.node("Add", [x, more], node.output[0])

"""LRN: x * (bias + alpha / size * sum of squares of neighbouring channels) ** -beta.

The sum over channels is a 1x1 convolution with ones in a band, whose integers are exact; the power is a function of it.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from ..rewriter import attributes_of, error
from .decomposer import Decomposer


def local_response_normalisation(into: Decomposer, node: NodeProto) -> None:
    """Mul, Conv, Mul, Add, Pow, Mul."""
    shape = into.shape(node, node.input[0])
    if len(shape) not in (3, 4):
        raise error(node, f"its input has shape {shape}. Supported: images and signals, of 4 or 3 axes")
    given = attributes_of(node)
    size, channels = given["size"], shape[1]
    distance = (
        np.arange(channels) - np.arange(channels)[:, np.newaxis]
    )  # of the input from the output channel
    band = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    ones = into.floats(band.reshape(channels, channels, *[1] * (len(shape) - 2)), "neighbours")
    x = node.input[0]
    total = into.node("Conv", [into.node("Mul", [x, x]), ones], kernel_shape=[1] * (len(shape) - 2))
    scaled = into.node("Mul", [total, into.number(given.get("alpha", 1e-4) / size, "alpha")])
    biased = into.node("Add", [scaled, into.number(given.get("bias", 1.0), "bias")])
    power = into.node("Pow", [biased, into.number(-given.get("beta", 0.75), "beta")])
    into.node("Mul", [x, power], node.output[0])

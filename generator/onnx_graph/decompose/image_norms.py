"""InstanceNormalization and GroupNormalization: rows of all pixels of a channel or group, normalised, then per channel.

The rows become a layer normalisation (decomposed_norm.py finds it); the factor and summand of each channel stay outside.
"""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from ...operator import Array
from ..rewriter import attributes_of, error
from .decomposer import Decomposer

_EPSILON = 1e-5
"""ONNX's default for both."""


def instance_normalisation(into: Decomposer, node: NodeProto) -> None:
    """Every channel of every sample by itself."""
    shape = into.shape(node, node.input[0])
    _normalise(into, node, shape, shape[1], into.weights(node, 1), into.weights(node, 2))


def group_normalisation(into: Decomposer, node: NodeProto) -> None:
    """Groups of neighbouring channels; before opset 21, where scale and bias were those of groups, ONNX refuses it."""
    shape = into.shape(node, node.input[0])
    groups = attributes_of(node)["num_groups"]
    if shape[1] % groups:
        raise error(node, f"{shape[1]} channels are no multiple of num_groups, {groups}")
    _normalise(into, node, shape, groups, into.weights(node, 1), into.weights(node, 2))


def _normalise(
    into: Decomposer, node: NodeProto, shape: tuple[int, ...], rows: int, scale: Array, bias: Array
) -> None:
    """Reshape to rows, their mean and spread, and back; then scale and bias, in the shape of an image."""
    channels = shape[1]
    if len(scale) != channels or len(bias) != channels:
        raise error(
            node, f"scale and bias of {len(scale)} and {len(bias)} values do not fit {channels} channels"
        )
    x = into.reshape(node.input[0], [1, rows, prod(shape[1:]) // rows])
    centred = into.node("Sub", [x, into.mean_of_last(x, 3)])
    variance = into.mean_of_last(into.node("Mul", [centred, centred]), 3)
    epsilon = into.number(attributes_of(node).get("epsilon", _EPSILON), "epsilon")
    root = into.node("Sqrt", [into.node("Add", [variance, epsilon])])
    y = into.node("Div", [centred, root])
    image = shape if len(shape) == 4 else (1, channels, prod(shape[2:]), 1)
    plain = bool((scale == 1).all() and (bias == 0).all())
    y = into.reshape(y, shape if plain else image, node.output[0] if plain else "")
    if plain:
        return
    zeros = np.zeros(channels)
    per_channel = zip((scale, bias, zeros, zeros + 1), ("scale", "bias", "mean", "variance"), strict=True)
    operands = [y, *(into.floats(values, what) for values, what in per_channel)]
    y = into.node("BatchNormalization", operands, node.output[0] if image == shape else "", epsilon=0.0)
    if image != shape:
        into.reshape(y, shape, node.output[0])

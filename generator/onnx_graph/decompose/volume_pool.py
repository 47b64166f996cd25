"""Pools of volumes as pools of images: over height and width of every slice, then over depth.

The largest value of a box is the largest of those of its slices, and the mean the mean of their means, also where windows at
the border count fewer elements: how many they count is a product over the axes.
"""

from __future__ import annotations

from math import prod
from typing import Any

from onnx import NodeProto, helper

from ..rewriter import attributes_of
from .average_pool import average_pool
from .decomposer import Decomposer

_VOLUME = 5
"""Axes of (batch, channels, depth, height, width)."""


def pool(into: Decomposer, node: NodeProto) -> None:
    """Two pools of images for one of volumes; all others stay, but for an AveragePool with a border."""
    shape = into.shape(node, node.input[0])
    if len(shape) == _VOLUME and len(node.output) == 1:
        _by_slices(into, node, shape, into.shape(node, node.output[0]))
    else:
        _of_images(into, node)


def global_pool(into: Decomposer, node: NodeProto) -> None:
    """One of volumes as one of images whose rows are rows of all slices."""
    shape = into.shape(node, node.input[0])
    if len(shape) != _VOLUME:
        into.keep(node)
        return
    x = into.reshape(node.input[0], (*shape[:2], prod(shape[2:4]), shape[4]))
    y = into.node(node.op_type, [x])
    into.reshape(y, (*shape[:2], 1, 1, 1), node.output[0])


def _of_images(into: Decomposer, node: NodeProto) -> None:
    if node.op_type == "AveragePool":
        average_pool(into, node)
    else:
        into.keep(node)


def _by_slices(into: Decomposer, node: NodeProto, shape: tuple[int, ...], result: tuple[int, ...]) -> None:
    batch, channels, depth, height, width = shape
    rows, columns = result[3:]
    slices = into.reshape(node.input[0], (batch, channels * depth, height, width))
    into.shapes[slices] = (batch, channels * depth, height, width)
    pooled = _along(into, node, slices, (1, 2), (batch, channels * depth, rows, columns))
    stack = into.reshape(pooled, (batch, channels, depth, rows * columns))
    into.shapes[stack] = (batch, channels, depth, rows * columns)
    pooled = _along(into, node, stack, (0, None), (batch, channels, result[2], rows * columns))
    into.reshape(pooled, result, node.output[0])


def _along(
    into: Decomposer,
    node: NodeProto,
    x: str,
    axes: tuple[int, int | None],
    shape: tuple[int, ...],
) -> str:
    """The pool along two of the spatial axes, or along one and along none; returns its result, of that shape."""
    given = attributes_of(node)
    attributes: dict[str, Any] = {
        name: given[name] for name in ("auto_pad", "ceil_mode", "count_include_pad") if name in given
    }
    for name in ("kernel_shape", "strides", "dilations"):
        if name in given:
            attributes[name] = [1 if axis is None else given[name][axis] for axis in axes]
    if pads := given.get("pads"):
        attributes["pads"] = [0 if axis is None else pads[axis + end] for end in (0, 3) for axis in axes]
    output = into.unique(f"{node.output[0]}, {'by slices' if None not in axes else 'stacked'}")
    into.shapes[output] = shape
    name = into.unique(f"{node.name}/{node.op_type}")
    _of_images(into, helper.make_node(node.op_type, [x], [output], name, **attributes))
    return output

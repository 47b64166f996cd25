"""Resize and Upsample that mix neighbours (linear, cubic): products with a constant matrix for each axis.

What the node does along an axis is a matrix, found by resizing the unit matrix with ONNX Runtime, so all its attributes
count. Where an axis is a whole number of times as long, and every output q * s + r takes the inputs around q by weights that
depend on r alone, all phases r are made at once by a depthwise convolution over the pixels and their repeated border, and
interleaved by a move. Other matrices are multiplied, each axis in turn as the last one. Nearest only moves values, unless no
nest of counters walks over them: then its matrices of zeros and ones are multiplied as well. Elements that a crop takes from
outside the image come from rows of zeros, and a constant is added there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import NodeProto, helper

from ...nest import factor
from ...operator import Array
from ..rewriter import attributes_of, error
from .decomposer import Decomposer
from .phases import interleave
from .run_node import run_node

_SCALES_ARE_AN_INPUT = 9
"""Opset since which Upsample has them so."""
_REGION_IS_AN_INPUT = 11
"""Opset since which Resize has one, before the scales."""
_OF_THE_WHOLE = ("axes", "scales", "keep_aspect_ratio_policy", "extrapolation_value")
_TINY = 1e-6
"""Weights below are zero: coordinates are float32."""
_LONGEST_REACH = 2
_SAME = 1e-5


@dataclass(frozen=True)
class _Phases:
    """An axis as phases: `weights` (scale, taps) of the inputs q - reach .. q + reach."""

    scale: int
    reach: int
    weights: Array


def resize(into: Decomposer, node: NodeProto) -> None:
    """Nothing for nearest by whole factors; else a depthwise convolution or products.

    Raises:
        IntarsiaError: the node mixes neighbours and keeps the aspect ratio, or ONNX Runtime does not know its attributes.
    """
    _require_whole_sizes(into, node)
    given = attributes_of(node)
    crops = given.get("coordinate_transformation_mode") == b"tf_crop_and_resize"
    nearest = given.get("mode", b"nearest") == b"nearest" and not crops
    if (policy := given.get("keep_aspect_ratio_policy", b"stretch").decode()) != "stretch":
        if nearest:
            into.keep(node)
            return
        raise error(node, f"keep_aspect_ratio_policy is {policy!r}. Supported: stretch")
    shape, result = into.shape(node, node.input[0]), into.shape(node, node.output[0])
    scales = _scales(into, node, len(shape))
    changed = [
        axis
        for axis in range(len(shape))
        if shape[axis] != result[axis] or (scales is not None and scales[axis] != 1) or crops
    ]
    matrices = {axis: _matrix(into, node, shape, result, axis) for axis in changed}
    changed = [axis for axis in changed if not np.array_equal(matrices[axis], np.eye(shape[axis]))]
    outside = _outside(into, node, shape, result) if crops else np.zeros(0)
    if not changed and not outside.any():
        into.node("Identity", node.input[:1], node.output[0])
        return
    if nearest and all(factor(matrices[axis].argmax(axis=1)) is not None for axis in changed):
        into.keep(node)
        return
    phases = [_phases(matrices.get(axis, np.eye(shape[axis]))) for axis in range(2, len(shape))]
    fitting = [found for found in phases if found is not None]
    inside = not outside.any()
    if len(shape) in (3, 4) and inside and min(changed) > 1 and len(fitting) == len(phases):
        _convolve(into, node, shape, fitting)
        return
    end = node.output[0] if inside else ""
    x = node.input[0]
    for axis in changed:
        perm = [other for other in range(len(shape)) if other != axis] + [axis]
        last = axis == changed[-1]
        x = into.transpose(x, perm)
        x = into.node("MatMul", [x, into.floats(matrices[axis].T, f"axis {axis}")])
        x = into.transpose(x, [int(i) for i in np.argsort(perm)], end if last else "")
    if not inside:
        into.node("Add", [x, into.floats(outside, "outside")], node.output[0])


def _outside(into: Decomposer, node: NodeProto, shape: tuple[int, ...], result: tuple[int, ...]) -> Array:
    """What elements outside the image are, in the shape of the result; 0 inside."""
    inside = np.ones((1,) * len(shape))
    for axis, size in enumerate(shape):
        rows = _matrix(into, node, shape, result, axis, outside=1.0) - _matrix(
            into, node, shape, result, axis
        )
        along = [-1 if other == axis else 1 for other in range(len(shape))]
        inside = inside * (np.abs(rows).sum(axis=1) < size / 2).reshape(along)
    return (1 - inside) * float(attributes_of(node).get("extrapolation_value", 0.0))


def _require_whole_sizes(into: Decomposer, node: NodeProto) -> None:
    """ONNX aligns corners by the scaled size as a real number, ONNX Runtime by the size rounded down: only where they agree."""
    index = 2 if len(node.input) > 2 else 1
    name = node.input[index] if index < len(node.input) else ""
    if attributes_of(node).get("coordinate_transformation_mode") != b"align_corners" or not name:
        return
    axes = attributes_of(node).get("axes", range(len(into.shape(node, node.input[0]))))
    for axis, scale in zip(axes, into.weights(node, index), strict=False):
        size = into.shape(node, node.input[0])[axis] * scale
        if abs(size - round(size)) > _SAME:
            raise error(
                node,
                f"with align_corners, scale {scale:g} makes {size:g} elements of axis {axis}, which ONNX and ONNX Runtime "
                "take differently. Supported: whole numbers of elements. Give sizes instead of scales",
            )


def _matrix(
    into: Decomposer,
    node: NodeProto,
    shape: tuple[int, ...],
    result: tuple[int, ...],
    axis: int,
    outside: float = 0.0,
) -> Array:
    """(outputs, inputs) along one axis: the unit matrix, resized like a signal with that axis last.

    Rows that a crop takes from outside the image are filled with `outside`.
    """
    size = shape[axis]
    alone = NodeProto.FromString(node.SerializeToString())
    scales = _scales(into, node, len(shape))
    operands = {"x": np.eye(size, dtype=np.float32), "none": np.zeros(0, np.float32)}
    kept = [a for a in alone.attribute if a.name not in _OF_THE_WHOLE]
    region = "none"
    if attributes_of(node).get("coordinate_transformation_mode") == b"tf_crop_and_resize":
        region = "region"
        start, end = _region(into, node, len(shape))[:, axis]
        operands["region"] = np.array([0, start, 1, end], np.float32)
        kept.append(helper.make_attribute("extrapolation_value", outside))
    del alone.attribute[:], alone.input[:]
    alone.attribute.extend(kept)
    if scales is None:
        operands["sizes"] = np.array([size, result[axis]], np.int64)
        alone.input.extend(["x", region, "none", "sizes"])
    elif node.op_type == "Upsample" and into.opset < _SCALES_ARE_AN_INPUT:
        alone.attribute.append(helper.make_attribute("scales", [1.0, float(scales[axis])]))
        alone.input.extend(["x"])
    else:
        operands["scales"] = np.array([1, scales[axis]], np.float32)
        older = node.op_type == "Upsample" or into.opset < _REGION_IS_AN_INPUT
        alone.input.extend(["x", "scales"] if older else ["x", region, "scales"])
    operands = {name: values for name, values in operands.items() if name in alone.input}
    (found,) = run_node(alone, operands, into.opset)
    matrix: Array = np.where(np.abs(found) < _TINY, 0, found).T.astype(np.float64)
    return matrix


def _region(into: Decomposer, node: NodeProto, rank: int) -> Array:
    """First and last position of the crop along each axis, as shares of its size.

    Raises:
        IntarsiaError: they are computed.
    """
    region = np.stack([np.zeros(rank), np.ones(rank)])
    region[:, list(attributes_of(node).get("axes", range(rank)))] = into.weights(node, 1).reshape(2, -1)
    return region.astype(np.float32)


def _scales(into: Decomposer, node: NodeProto, rank: int) -> Array | None:
    """The scale of each axis that the node names; None where it names sizes.

    Raises:
        IntarsiaError: they are computed.
    """
    if node.op_type == "Upsample" and into.opset < _SCALES_ARE_AN_INPUT:
        return np.array(attributes_of(node)["scales"])
    values = into.weights(
        node, 1 if node.op_type == "Upsample" or into.opset < _REGION_IS_AN_INPUT else 2, np.zeros(0)
    )
    if not values.size:
        return None
    scales = np.ones(rank)
    scales[list(attributes_of(node).get("axes", range(rank)))] = values
    return scales


def _phases(matrix: Array) -> _Phases | None:
    """The matrix as phases with a repeated border; None if it is none."""
    outputs, inputs = matrix.shape
    if outputs % inputs:
        return None
    scale, middle = outputs // inputs, inputs // 2
    for reach in range(min(_LONGEST_REACH, middle, inputs - 1 - middle) + 1):
        window = slice(middle - reach, middle + reach + 1)
        weights = matrix[middle * scale : (middle + 1) * scale, window]
        expected = np.zeros((inputs, scale, inputs))
        for q in range(inputs):
            for tap in range(2 * reach + 1):
                expected[q, :, min(max(q - reach + tap, 0), inputs - 1)] += weights[:, tap]
        if np.allclose(expected.reshape(matrix.shape), matrix, atol=_SAME):
            return _Phases(scale, reach, weights)
    return None


def _convolve(into: Decomposer, node: NodeProto, shape: tuple[int, ...], phases: list[_Phases]) -> None:
    """Pad, Tile, a depthwise Conv of all phases of all channels, and the phases side by side."""
    channels, rank = shape[1], len(phases)
    scales, reaches = [found.scale for found in phases], [found.reach for found in phases]
    x = node.input[0]
    for axis, reach in enumerate(reaches, 2):
        x = _with_border(into, x, len(shape), axis, shape[axis], reach)
    x = into.node("Tile", [x, into.integers([1, prod(scales)] + [1] * rank, "repeats")])
    kernels = phases[0].weights
    if rank == 2:
        kernels = np.einsum("ai,bj->abij", kernels, phases[1].weights)
    taps = [2 * reach + 1 for reach in reaches]
    kernels = np.repeat(kernels.reshape(prod(scales), 1, 1, *taps), channels, axis=1)
    weight = into.floats(kernels.reshape(-1, 1, *taps), "kernels")
    y = into.node("Conv", [x, weight], kernel_shape=taps, group=prod(scales) * channels)
    interleave(into, y, (1, channels), list(shape[2:]), scales, node.output[0])


def _with_border(into: Decomposer, x: str, rank: int, axis: int, size: int, reach: int) -> str:
    """The first and the last element of an axis repeated beyond it."""
    if not reach:
        return x
    first, last = into.slice(x, [axis], [0], [1]), into.slice(x, [axis], [size - 1], [size])
    if reach > 1:
        repeats = [reach if other == axis else 1 for other in range(rank)]
        first, last = (into.node("Tile", [edge, into.integers(repeats, "repeats")]) for edge in (first, last))
    return into.node("Concat", [first, x, last], axis=axis)

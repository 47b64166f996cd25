"""What each ONNX operator that only moves values does, as an array of source indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nest import FILL, Indices

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode


def moved_indices(node: OnnxNode) -> Indices:
    """Index into input 0, in C order, of every element of the node's result; FILL where a constant is put.

    Raises:
        IntarsiaError: the node asks for something else than moving values by a constant rule.
    """
    shape = node.tensor().shape
    result = RULES[node.op_type](node, np.arange(prod(shape), dtype=np.int64).reshape(shape))
    return result.reshape(node.output_shape)


def fill_value(node: OnnxNode) -> float:
    """What the elements without source are."""
    if node.op_type != "Pad" or node.attributes.get("mode", "constant") != "constant":
        return 0.0
    value = node.attributes.get("value", 0.0) if node.opset < 11 else node.numbers(2)
    return float(np.ravel(value)[0]) if value is not None and np.size(value) else 0.0


def _slice(node: OnnxNode, x: Indices) -> Indices:
    if node.opset < 10:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes"), None
    else:
        starts, ends, axes, steps = (_integers(node, index) for index in (1, 2, 3, 4))
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut: list[slice] = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # From the last to the first element, an end before the first one means: all of them.
        stop = None if step < 0 and end < -x.shape[axis] else end
        cut[axis] = slice(start, stop, step)
    return x[tuple(cut)]


def _pad(node: OnnxNode, x: Indices) -> Indices:
    mode = node.attributes.get("mode", "constant")
    pads = node.attributes["pads"] if node.opset < 11 else _integers(node, 1)
    axes = None if node.opset < 11 else _integers(node, 3)
    assert pads is not None
    axes = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in axes]
    widths = [(0, 0)] * x.ndim
    for number, axis in enumerate(axes):
        widths[axis] = (pads[number], pads[number + len(axes)])
    cut = tuple(
        slice(max(-before, 0), size - max(-after, 0))
        for (before, after), size in zip(widths, x.shape, strict=True)
    )
    positive = [(max(before, 0), max(after, 0)) for before, after in widths]
    if mode == "constant":
        return np.pad(x[cut], positive, constant_values=FILL)
    return np.pad(x[cut], positive, mode=mode)


def _expand(node: OnnxNode, x: Indices) -> Indices:
    return np.broadcast_to(x, node.output_shape)


def _tile(node: OnnxNode, x: Indices) -> Indices:
    repeats = _integers(node, 1)
    assert repeats is not None
    return np.tile(x, repeats)


def _depth_to_space(node: OnnxNode, x: Indices) -> Indices:
    block = node.attributes["blocksize"]
    n, c, h, w = x.shape
    if node.attributes.get("mode", "DCR") == "DCR":
        return x.reshape(n, block, block, c // block**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c // block**2, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)


def _space_to_depth(node: OnnxNode, x: Indices) -> Indices:
    block = node.attributes["blocksize"]
    n, c, h, w = x.shape
    return x.reshape(n, c, h // block, block, w // block, block).transpose(0, 3, 5, 1, 2, 4)


def _gather(node: OnnxNode, x: Indices) -> Indices:
    indices = node.constant(1)
    assert indices is not None
    return np.take(x, indices.astype(np.int64), axis=node.attributes.get("axis", 0))


def _resize(node: OnnxNode, x: Indices) -> Indices:
    mode = node.attributes.get("mode", "nearest")
    node.require(mode == "nearest", f"mode is {mode!r}. Supported: nearest")
    scales = [after / before for before, after in zip(x.shape, node.output_shape, strict=True)]
    where = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.attributes.get("nearest_mode", "round_prefer_floor")
    if node.op_type == "Upsample":
        where, rounding = "asymmetric", "floor"
    node.require(
        where in _COORDINATES,
        f"coordinate_transformation_mode is {where!r}. Supported: {_list(_COORDINATES)}",
    )
    given = _scales(node, x.ndim) or scales
    for axis, (size, scale) in enumerate(zip(node.output_shape, given, strict=True)):
        source = _COORDINATES[where](np.arange(size, dtype=np.float64), scale, size, x.shape[axis])
        nearest = np.clip(_ROUNDINGS[rounding](source), 0, x.shape[axis] - 1)
        x = np.take(x, nearest.astype(np.int64), axis=axis)
    return x


_COORDINATES: Mapping[str, Callable[..., Any]] = {
    "half_pixel": lambda i, scale, after, before: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale, after, before: (i + 0.5) / scale - 0.5 if after > 1 else i * 0,
    "asymmetric": lambda i, scale, after, before: i / scale,
    "align_corners": lambda i, scale, after, before: i * (before - 1) / (after - 1) if after > 1 else i * 0,
}
"""Position in the source of each element of the result, by ONNX's definition of Resize."""

_ROUNDINGS: Mapping[str, Callable[..., Any]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _scales(node: OnnxNode, rank: int) -> list[float] | None:
    """The scales that a Resize or Upsample names, one for each axis; None where it names sizes."""
    if node.op_type == "Upsample" and node.opset < 9:
        return [float(scale) for scale in node.attributes["scales"]]
    index = 1 if node.op_type == "Upsample" or node.opset < 11 else 2
    values = node.numbers(index)
    if values is None or not values.size:
        return None
    axes = node.attributes.get("axes")
    scales = [1.0] * rank
    for axis, scale in zip(range(rank) if axes is None else axes, values, strict=True):
        scales[axis] = float(scale)
    return scales


def _integers(node: OnnxNode, index: int) -> list[int] | None:
    values = node.constant(index)
    return None if values is None else [int(value) for value in np.ravel(values)]


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names)


def _identity(node: OnnxNode, x: Indices) -> Indices:
    return x


RULES: Mapping[str, Callable[[OnnxNode, Indices], Indices]] = {
    "Identity": _identity,  # only where it joins an input of the graph to an output
    "Slice": _slice,
    "Pad": _pad,
    "Expand": _expand,
    "Tile": _tile,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Gather": _gather,
    "Resize": _resize,
    "Upsample": _resize,
}
"""By ONNX operator."""

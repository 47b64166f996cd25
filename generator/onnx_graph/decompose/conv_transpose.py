"""ConvTranspose of stride s as an ordinary convolution with s times s as many outputs, which are then interleaved.

With o = q * s + r (r < s) every output is a sum over the kernel positions r, r + s, r + 2 s, ... alone:

    y[q * s + r] = sum over t of x[q - t] * w[r + s * t]

So each phase r is a convolution of its own with a kernel of ceil(k / s) positions, flipped. All phases are made at once as
output channels, and a move puts them side by side. Zeros between the pixels of x are never multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from onnx import NodeProto

from ...operator import Array
from ..rewriter import attributes_of, error
from .decomposer import Decomposer
from .phases import interleave


@dataclass(frozen=True)
class _Axis:
    """One axis of the image.

    Attributes:
        stride: phases.
        taps: kernel positions of each phase.
        dilation: between them.
        before: padding of the convolution, likewise `after`.
        made: outputs of each phase.
        low: where the result begins among the outputs of all phases.
        size: of the result.
    """

    stride: int
    taps: int
    dilation: int
    before: int
    after: int
    made: int
    low: int
    size: int

    @property
    def cut(self) -> bool:
        """True if there are outputs beyond the result."""
        return self.size != self.made * self.stride


def conv_transpose(into: Decomposer, node: NodeProto) -> None:
    """Conv; for strides also Reshape, Transpose, Reshape and Slice.

    Raises:
        IntarsiaError: the weight is computed or does not fit, or the input is no image or signal.
    """
    shape, result = into.shape(node, node.input[0]), into.shape(node, node.output[0])
    weight = into.weights(node, 1)
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise error(node, f"its input has shape {shape}. Supported: images and signals, of 4 or 3 axes")
    given = attributes_of(node)
    group = given.get("group", 1)
    if weight.ndim != len(shape) or len(weight) != shape[1] or shape[1] % group:
        raise error(
            node, f"a weight of shape {weight.shape} in {group} groups does not fit an input of {shape}"
        )
    strides, dilations = given.get("strides", [1] * rank), list(given.get("dilations", [1] * rank))
    pads = _begin_pads(given, shape, result, weight.shape, strides, dilations)
    for i in range(rank):
        if strides[i] > 1:
            weight, dilations[i] = _dilated(weight, i + 2, dilations[i]), 1
    axes = [
        _axis(strides[i], weight.shape[i + 2], dilations[i], pads[i], shape[i + 2], result[i + 2])
        for i in range(rank)
    ]
    phases, channels, outputs = prod(strides), shape[1], weight.shape[1] * group
    x, kernels = node.input[0], _kernels(weight, axes)
    if (
        depthwise := phases > 1 and group == channels == outputs
    ):  # each phase of each channel has its own kernel
        x = into.node("Tile", [x, into.integers([1, phases] + [1] * rank, "repeats")])
        kernels, group = kernels.reshape(-1, 1, *kernels.shape[3:]), 1
    else:
        kernels = kernels.reshape(phases, group, -1, *kernels.shape[2:])
        kernels = kernels.transpose(1, 0, 3, 2, *range(4, 4 + rank)).reshape(
            -1, *kernels.shape[2:3], *kernels.shape[4:]
        )
    operands = [x, into.floats(kernels, "kernels")]
    if len(node.input) > 2 and node.input[2]:
        bias = np.repeat(into.weights(node, 2).reshape(group, 1, -1), phases, axis=1)
        operands.append(into.floats(bias.reshape(-1), "biases"))
    cut = any(axis.cut for axis in axes)
    y = into.node(
        "Conv",
        operands,
        "" if phases > 1 or cut else node.output[0],
        kernel_shape=[axis.taps for axis in axes],
        pads=[axis.before for axis in axes] + [axis.after for axis in axes],
        dilations=[axis.dilation for axis in axes],
        group=phases * channels if depthwise else group,
    )
    if phases > 1:
        sizes, result_name = [axis.made for axis in axes], "" if cut else node.output[0]
        y = interleave(into, y, (group, outputs), sizes, strides, result_name)
    if cut:
        highs = [axis.low + axis.size for axis in axes]
        into.slice(y, range(2, 2 + rank), [axis.low for axis in axes], highs, node.output[0])


def _begin_pads(
    given: Mapping[str, Any],
    shape: Sequence[int],
    result: Sequence[int],
    weight: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """How many outputs are cut off at the beginning of each axis, by ONNX's rules."""
    rank = len(strides)
    auto = given.get("auto_pad", b"NOTSET").decode()
    if auto == "VALID" or (auto == "NOTSET" and "output_shape" not in given):
        return list(given.get("pads", [0] * rank))[:rank] if auto == "NOTSET" else [0] * rank
    extra = given.get("output_padding", [0] * rank)
    pads = []
    for i in range(rank):
        full = strides[i] * (shape[i + 2] - 1) + extra[i] + (weight[i + 2] - 1) * dilations[i] + 1
        total = max(full - result[i + 2], 0)
        pads.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
    return pads


def _dilated(weight: Array, axis: int, dilation: int) -> Array:
    """Zeros between the kernel positions of an axis."""
    shape = list(weight.shape)
    shape[axis] = (shape[axis] - 1) * dilation + 1
    spread = np.zeros(shape)
    at = [slice(None)] * weight.ndim
    at[axis] = slice(None, None, dilation)
    spread[tuple(at)] = weight
    return spread


def _axis(stride: int, kernel: int, dilation: int, pad: int, size: int, result: int) -> _Axis:
    taps = -(-kernel // stride)
    reach = (taps - 1) * dilation
    before = max(reach - pad // stride, 0)
    after = max((pad + result - 1) // stride - (size - 1), 0)
    made = size + before + after - reach
    return _Axis(stride, taps, dilation, before, after, made, pad - stride * (reach - before), result)


def _kernels(weight: Array, axes: Sequence[_Axis]) -> Array:
    """(phases, channels, outputs of a group, taps of each axis), the taps in the order of a convolution."""
    rank = len(axes)
    widths = [(0, axis.taps * axis.stride - size) for axis, size in zip(axes, weight.shape[2:], strict=True)]
    padded = np.pad(weight, [(0, 0), (0, 0), *widths])
    split = padded.reshape(*weight.shape[:2], *(size for axis in axes for size in (axis.taps, axis.stride)))
    split = np.flip(split, axis=tuple(2 + 2 * i for i in range(rank)))
    phases, taps = [3 + 2 * i for i in range(rank)], [2 + 2 * i for i in range(rank)]
    ordered = split.transpose(*phases, 0, 1, *taps)
    return ordered.reshape(-1, *ordered.shape[rank:])

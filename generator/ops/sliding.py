"""Geometry shared by convolution and pooling.

A signal (1, channels, length) is an image of height 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arithmetic.exact import matmul
from ..arithmetic.threads import on_all_processors
from ..errors import IntarsiaError
from ..operator import Array
from ..work import Window

if TYPE_CHECKING:
    from ..task_graph import Task, TaskGraph

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]
Part = tuple[slice, slice]
"""Samples, and output rows of them."""

_NARROWEST = 4
"""Elements of the narrowest word."""

_CACHED_ELEMENTS = 1 << 17
"""Of windows that are copied at a time: 512 KB of float32."""

_TALLEST = 16
"""Rows of a kernel whose pixels are all kept in registers."""


def output_size(size: Pair, kernel: Pair, stride: Pair, dilation: Pair, pads: Pads) -> Pair:
    """Height and width of the result (floor mode).

    Raises:
        IntarsiaError: the window does not fit into the padded image.
    """
    result = tuple(
        (size[i] + pads[i] + pads[i + 2] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)
    )
    if min(result) < 1:
        raise IntarsiaError(
            f"a window of {kernel} with dilation {dilation} does not fit an image of {size} with pads {pads}"
        )
    return result[0], result[1]


def patches(x: Array, kernel: Pair, stride: Pair, dilation: Pair, pads: Pads, fill: float) -> Array:
    """All windows of images x (samples, channels, height, width), as a view of the padded images.

    Returns:
        Array of shape (samples, channels, kernel height, kernel width, out height, out width).
    """
    if any(pads):
        x = _padded(x, pads, fill)
    out_height, out_width = output_size((x.shape[2], x.shape[3]), kernel, stride, dilation, (0, 0, 0, 0))
    if kernel == (1, 1):
        return x[:, :, np.newaxis, np.newaxis, :: stride[0], :: stride[1]]
    samples, channels, rows, columns = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[0], x.shape[1], *kernel, out_height, out_width),
        (
            samples,
            channels,
            rows * dilation[0],
            columns * dilation[1],
            rows * stride[0],
            columns * stride[1],
        ),
        writeable=False,
    )


def _padded(x: Array, pads: Pads, fill: float) -> Array:
    """In the memory order of x, unlike np.pad: images whose channels lie side by side keep them so."""
    top, left, bottom, right = pads
    samples, channels, height, width = x.shape
    shape = (samples, channels, top + height + bottom, left + width + right)
    result: Array = np.full_like(x, fill, shape=shape)
    result[:, :, top : top + height, left : left + width] = x
    return result


def product_with_windows(windows: Array, weight: Array, bias: Array | int) -> Array:
    """Sums over all elements of each window times the weights, plus the bias.

    Windows are copied for so few output rows at a time that they stay in the cache, in the order in which more of what is
    copied lies together: channels innermost, or pixels. Either way the channels of the result lie side by side in memory.

    Args:
        windows: of `patches`.
        weight: (outputs, channels, kernel height, kernel width).
        bias: (outputs,), or 0.

    Returns:
        Array of shape (samples, outputs, out height, out width).
    """
    samples, channels, _, kernel_width, height, width = windows.shape
    channels_inside = channels * kernel_width >= width
    matrix = (weight.transpose(0, 2, 3, 1) if channels_inside else weight).reshape(len(weight), -1).T
    depth, outputs = matrix.shape
    result = np.empty((samples, height, width, outputs), windows.dtype)

    def multiply(part: Part) -> None:
        some, rows = part
        block = windows[some, ..., rows, :]
        columns: Array
        if channels_inside:
            columns = block.transpose(0, 4, 5, 2, 3, 1).reshape(-1, depth)
        else:
            columns = block.reshape(len(block), depth, -1).transpose(0, 2, 1)
        sums = result[some, rows]
        np.add(matmul(columns, matrix).reshape(sums.shape), bias, out=sums)

    on_all_processors(multiply, cached_parts(samples, height, width * max(depth, outputs)), fewest=8)
    return result.transpose(0, 3, 1, 2)


def cached_parts(samples: int, height: int, row: int) -> list[Part]:
    """Samples, and rows of `row` elements of them, that stay in the cache together: some samples, or some rows of one."""
    rows = max(1, _CACHED_ELEMENTS // row)
    some = max(1, rows // height)
    return [
        (slice(sample, sample + some), slice(first, first + rows))
        for sample in range(0, samples, some)
        for first in range(0, height, rows)
    ]


def reduce_windows(columns: Array, combine: np.ufunc) -> Array:
    """All kernel positions of `patches` combined: (samples, channels, out height, out width)."""
    _, _, *kernel, out_height, out_width = columns.shape
    if kernel[0] * kernel[1] > out_height * out_width:
        reduced: Array = combine.reduce(columns, axis=(2, 3))
        return reduced
    result = columns[:, :, 0, 0].copy(order="K")
    for i, j in list(np.ndindex(*kernel))[1:]:
        combine(result, columns[:, :, i, j], out=result)
    return result


def image_size(shape: Sequence[int]) -> Pair:
    """Height and width of (1, channels, height, width) or (1, channels, length)."""
    return (shape[2], shape[3]) if len(shape) == 4 else (1, shape[2])


def image_shape(like: Sequence[int], channels: int, size: Pair) -> tuple[int, ...]:
    """Shape of an image, or of a signal where `like` is the shape of one."""
    return (1, channels, *size[4 - len(like) :])


def images(x: Array) -> Array:
    """Samples of images or signals as (samples, channels, height, width)."""
    return x[:, 0] if x.ndim == 5 else x[:, 0, :, np.newaxis]


def samples_like(x: Array, result: Array) -> Array:
    """Results (samples, channels, height, width) as samples of images or signals, whichever x is."""
    samples, channels, height, width = result.shape
    return result.reshape(samples, *image_shape(x.shape[1:], channels, (height, width)))


def rows_fit(kernel: Pair, stride: Pair, dilation: Pair, pads: Pads) -> bool:
    """True if windows can slide over rows of pixels in words: they reach no further than the narrowest word beyond a word."""
    reach = max(pads[1], kernel[1] - stride[1] - pads[1])
    return (
        stride[0] == stride[1] <= _NARROWEST
        and dilation == (1, 1)
        and reach <= _NARROWEST
        and kernel[0] <= _TALLEST
    )


def window(
    graph: TaskGraph, task: Task, kernel: Pair, stride: Pair, pads: Pads, dilation: Pair = (1, 1)
) -> Window:
    """What the hardware slides over the first operand of a task."""
    height, width = image_size(graph.input_tensors(task)[0].shape)
    out_height, out_width = image_size(graph.output_tensor(task).shape)
    return Window(height, width, kernel, stride, dilation, pads[0], pads[1], out_height, out_width)


def onnx_geometry(
    shape: Sequence[int], kernel: Pair, stride: Pair, pads: Pads, dilation: Pair | None = None
) -> dict[str, Any]:
    """ONNX's attributes of a window over a tensor of this shape; AveragePool has no dilations before opset 19."""
    skip = 4 - len(shape)
    geometry = {
        "kernel_shape": kernel[skip:],
        "strides": stride[skip:],
        "pads": pads[skip :: skip + 1],
    }
    return geometry if dilation is None else {**geometry, "dilations": dilation[skip:]}

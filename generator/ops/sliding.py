"""Geometry shared by convolution and pooling."""

from __future__ import annotations

import numpy as np

from ..errors import IntarsiaError
from ..operator import Array

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


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
    top, left, bottom, right = pads
    if any(pads):
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    out_height, out_width = output_size((x.shape[2], x.shape[3]), kernel, stride, dilation, (0, 0, 0, 0))
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

"""DepthwiseConv: convolution of every channel with a kernel of its own; ONNX's Conv with one group per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..arithmetic.threads import on_all_processors
from ..operator import Array
from ..work import DepthwiseWork
from .convolution import Convolution
from .sliding import Part, cached_parts, images, patches, samples_like, window

if TYPE_CHECKING:
    from ..task_graph import Task, TaskGraph


@dataclass(frozen=True)
class DepthwiseConv(Convolution):
    """Y[c, y, x] = bias[c] + sum over (i, j) of W[c, 0, i, j] * X[c, y*s + i*d - pad, x*s + j*d - pad]."""

    name: ClassVar[str] = "DepthwiseConv"

    def groups(self, channels: int) -> int:
        """Each channel by itself."""
        return channels

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One product of images per kernel position, for so few rows at a time that they stay in the cache.

        Channels lie side by side in memory, and kernels are repeated for a whole row of pixels: so few, long products.
        """
        x = inputs[0]
        weight = parameters["weight"]
        windows = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=0)
        samples, channels, _, _, height, width = windows.shape
        kernels = np.tile(weight.reshape(channels, -1).T, width).reshape(*self.kernel, width * channels)
        bias = np.tile(parameters["bias"], width) if "bias" in parameters else 0
        result = np.empty((samples, height, width * channels), windows.dtype)

        def multiply(part: Part) -> None:
            some, rows = part
            _sum_products(result[some, rows], windows[some, ..., rows, :], kernels)
            result[some, rows] += bias

        on_all_processors(multiply, cached_parts(samples, height, 4 * width * channels), fewest=8)
        return samples_like(x, result.reshape(samples, height, width, channels).transpose(0, 3, 1, 2))

    def work(self, task: Task, graph: TaskGraph) -> DepthwiseWork:
        """A depthwise unit."""
        geometry = window(graph, task, self.kernel, self.stride, self.pads, self.dilation)
        output = graph.output_tensor(task)
        return DepthwiseWork(output.pixels, output.channels, geometry)

    def weights_by_position(self, task: Task, graph: TaskGraph) -> Array:
        """(1, kernel positions, channels): one row of channels for each position."""
        weight = task.parameters["weight"].values
        return weight.reshape(1, len(weight), -1).transpose(0, 2, 1)


def _sum_products(result: Array, windows: Array, kernels: Array) -> None:
    """(samples, channels, kh, kw, h, w) times (kh, kw, w * channels), summed up as (samples, h, w * channels)."""
    product = np.empty_like(result)
    for i, j in np.ndindex(*kernels.shape[:2]):
        pixels = windows[:, :, i, j].transpose(0, 2, 3, 1).reshape(result.shape)
        np.multiply(pixels, kernels[i, j], out=product if i or j else result)
        if i or j:
            result += product

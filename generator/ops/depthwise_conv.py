"""DepthwiseConv: convolution of every channel with a kernel of its own; ONNX's Conv with one group per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array
from ..work import DepthwiseWork
from .convolution import Convolution
from .sliding import images, patches, samples_like, window

if TYPE_CHECKING:
    from ..task_graph import Task, TaskGraph


_CACHED_ELEMENTS = 1 << 15


@dataclass(frozen=True)
class DepthwiseConv(Convolution):
    """Y[c, y, x] = bias[c] + sum over (i, j) of W[c, 0, i, j] * X[c, y*s + i*d - pad, x*s + j*d - pad]."""

    name: ClassVar[str] = "DepthwiseConv"

    def groups(self, channels: int) -> int:
        """Each channel by itself."""
        return channels

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One product of images per kernel position, for so few channels at a time that they stay in the cache."""
        x = inputs[0]
        weight = parameters["weight"]
        kernels = weight.reshape(len(weight), *self.kernel)
        columns = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=0)
        result = np.zeros((*columns.shape[:2], *columns.shape[4:]), columns.dtype)
        if "bias" in parameters:
            result += parameters["bias"][:, np.newaxis, np.newaxis]
        block = max(1, _CACHED_ELEMENTS // prod(result.shape[2:]))
        for sample in range(len(result)):
            for first in range(0, result.shape[1], block):
                part = slice(first, first + block)
                _add_products(result[sample, part], columns[sample, part], kernels[part])
        return samples_like(x, result)

    def work(self, task: Task, graph: TaskGraph) -> DepthwiseWork:
        """A depthwise unit."""
        geometry = window(graph, task, self.kernel, self.stride, self.pads, self.dilation)
        output = graph.output_tensor(task)
        return DepthwiseWork(output.pixels, output.channels, geometry)

    def weights_by_position(self, task: Task, graph: TaskGraph) -> Array:
        """(1, kernel positions, channels): one row of channels for each position."""
        weight = task.parameters["weight"].values
        return weight.reshape(1, len(weight), -1).transpose(0, 2, 1)


def _add_products(result: Array, columns: Array, kernels: Array) -> None:
    """Adds (channels, kh, kw, h, w) times (channels, kh, kw) to (channels, h, w), in place."""
    product = np.empty_like(result)
    for i, j in np.ndindex(kernels.shape[1:]):
        np.multiply(columns[:, i, j], kernels[:, i, j, np.newaxis, np.newaxis], out=product)
        result += product

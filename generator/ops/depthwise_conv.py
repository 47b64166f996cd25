"""DepthwiseConv: convolution of every channel with a kernel of its own; ONNX's Conv with one group per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array
from ..work import DepthwiseWork
from .convolution import Convolution
from .sliding import images, patches, samples_like, window

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
        """One product of whole images per kernel position."""
        x = inputs[0]
        weight = parameters["weight"]
        kernels = weight.reshape(len(weight), *self.kernel)
        columns = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=0)
        result: Array = np.zeros((), columns.dtype)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                result = result + columns[:, :, i, j] * kernels[:, i, j, np.newaxis, np.newaxis]
        if "bias" in parameters:
            result = result + parameters["bias"][:, np.newaxis, np.newaxis]
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

"""Conv: convolution over images (2-D) and signals (1-D). Groups of channels become zeros among the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..fixed_point import Floats
from ..operator import Array
from ..work import MacWork
from .convolution import Convolution
from .depthwise_conv import DepthwiseConv
from .sliding import image_size, images, patches, product_with_windows, samples_like, window
from .window_attributes import WindowAttributes

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task, TaskGraph


MOST_WEIGHTS = 1 << 20
"""Weights of a grouped convolution that is made dense, most of them zeros: more would not fit on chip."""


@dataclass(frozen=True)
class Conv(Convolution):
    """Y[o, y, x] = bias[o] + sum over (c, i, j) of W[o, c, i, j] * X[c, y*s + i*d - pad, x*s + j*d - pad]."""

    name: ClassVar[str] = "Conv"
    onnx_types: ClassVar[tuple[str, ...]] = ("Conv",)

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Conv with constant weights: depthwise if every channel is a group, else dense."""
        x = node.image()
        weight = node.weights(1)
        bias = node.numbers(2)
        kernel = image_size(weight.shape)
        node.require(
            weight.ndim == len(x.shape) and node.pair("kernel_shape", kernel) == kernel,
            f"kernel_shape {node.attributes.get('kernel_shape')} contradicts the weight of shape {weight.shape}",
        )
        windows = WindowAttributes.from_onnx(node, x, kernel)
        kind: type[Convolution] = cls
        group = node.attributes.get("group", 1)
        if group > 1:
            _require_groups(node, group, x.shape[1], weight)
            if group == x.shape[1] == len(weight):
                kind = DepthwiseConv
            else:
                weight = block_diagonal(weight, group)
        operator = kind(kernel, windows.stride, windows.dilation, windows.pads)
        return node.task(operator, {"weight": weight} | ({} if bias is None else {"bias": bias}))

    def groups(self, channels: int) -> int:
        """All channels together."""
        return 1

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Convolution as matrix products over gathered patches."""
        x = inputs[0]
        weight = parameters["weight"]
        windows = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=0)
        kernels = weight.reshape(*weight.shape[:2], *self.kernel)
        return samples_like(x, product_with_windows(windows, kernels, parameters.get("bias", 0)))

    def work(self, task: Task, graph: TaskGraph) -> MacWork:
        """An engine behind a sliding window; none for 1x1 kernels, whose pixels stream straight through."""
        pointwise = self.kernel == (1, 1) and self.stride == (1, 1) and not any(self.pads)
        geometry = (
            None if pointwise else window(graph, task, self.kernel, self.stride, self.pads, self.dilation)
        )
        output = graph.output_tensor(task)
        return MacWork(output.pixels, graph.input_tensors(task)[0].channels, output.channels, geometry)

    def weights_by_position(self, task: Task, graph: TaskGraph) -> Array:
        """Kernel positions row by row."""
        weight = task.parameters["weight"].values
        return weight.reshape(*weight.shape[:2], -1).transpose(0, 2, 1)


def grouped_note(node: OnnxNode, task: Task) -> str:
    """What a user should know of a node with groups that became dense; an empty text for all others."""
    group = node.attributes.get("group", 1)
    if node.op_type != "Conv" or group == 1 or isinstance(task.operator, DepthwiseConv):
        return ""
    return f"Conv {node.name} with {group} groups runs as a dense one, with zeros: {group} times the products"


def block_diagonal(weight: Floats, group: int) -> Floats:
    """Weights of a dense convolution that keeps groups of channels apart: zeros elsewhere."""
    outputs, of_group, *kernel = weight.shape
    blocks = weight.reshape(group, outputs // group, of_group, *kernel)
    dense = np.zeros((group, outputs // group, group, of_group, *kernel))
    index = np.arange(group)
    dense[index, :, index] = blocks
    return dense.reshape(outputs, group * of_group, *kernel)


def _require_groups(node: OnnxNode, group: int, channels: int, weight: Floats) -> None:
    outputs = len(weight)
    node.require(
        group * weight.shape[1] == channels and outputs % group == 0,
        f"group {group} with a weight of shape {weight.shape} does not fit an input of {channels} channels",
    )
    node.require(
        group == channels == outputs or weight.size * group <= MOST_WEIGHTS,
        f"group is {group}, and the convolution as a dense one would have {weight.size * group:,} weights, most of "
        f"them zeros. Supported: up to {MOST_WEIGHTS:,}, or depthwise (one group for each channel, in and out)",
    )

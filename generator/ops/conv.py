"""Conv: 2-D convolution, groups = 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..errors import IntarsiaError
from ..exact import matmul
from ..operator import Array, Operator
from ..work import MacWork, Window
from .sliding import output_size, patches
from .window_attributes import WindowAttributes

if TYPE_CHECKING:
    from ..onnx_node import OnnxNode
    from ..qdq import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class Conv(Operator):
    """Y[o, y, x] = bias[o] + sum over (c, i, j) of W[o, c, i, j] * X[c, y*s + i*d - pad, x*s + j*d - pad].

    `pads` is (top, left, bottom, right); parameter `weight` is (outputs, channels, kernel height, kernel width),
    `bias` (outputs,).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    name: ClassVar[str] = "Conv"
    weight_roles: ClassVar[tuple[str, ...]] = ("weight",)
    onnx_types: ClassVar[tuple[str, ...]] = ("Conv",)

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Conv with constant weights."""
        x = node.image()
        weight = node.weights(1)
        bias = node.numbers(2)
        group = node.attributes.get("group", 1)
        node.require(
            group == 1, f"group must be 1, not {group}. Supported: 1, no grouped or depthwise convolution"
        )
        kernel = (weight.shape[2], weight.shape[3])
        node.require(
            tuple(node.attributes.get("kernel_shape", kernel)) == kernel,
            f"kernel_shape {node.attributes.get('kernel_shape')} contradicts the weight of shape {weight.shape}",
        )
        window = WindowAttributes.from_onnx(node, x, kernel)
        operator = cls(kernel, window.stride, window.dilation, window.pads)
        return node.task(operator, {"weight": weight} | ({} if bias is None else {"bias": bias}))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, outputs, out height, out width), channels on axis 1."""
        _, channels, height, width = inputs[0].shape
        outputs, expected, *_ = parameters["weight"].shape
        if channels != expected:
            raise IntarsiaError(
                f"weight expects {expected} input channels, but {inputs[0].name!r} has {channels}"
            )
        out_height, out_width = output_size(
            (height, width), self.kernel, self.stride, self.dilation, self.pads
        )
        return (1, outputs, out_height, out_width), 1

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Convolution as one matrix product over gathered patches."""
        x = inputs[0]
        weight = parameters["weight"]
        samples, outputs = x.shape[0], weight.shape[0]
        columns = patches(x[:, 0], self.kernel, self.stride, self.dilation, self.pads, fill=0)
        _, _, _, _, out_height, out_width = columns.shape  # samples, channels, kh, kw, oh, ow
        columns = columns.reshape(samples, prod(weight.shape[1:]), out_height * out_width)
        result = matmul(weight.reshape(outputs, -1)[np.newaxis], columns)
        if "bias" in parameters:
            result = result + parameters["bias"][:, np.newaxis]
        return result.reshape(samples, 1, outputs, out_height, out_width)

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """Sum of |weight| times the largest input, plus |bias|, over the worst output channel."""
        weight = parameters["weight"]
        bound = np.abs(weight.astype(np.int64)).reshape(weight.shape[0], -1).sum(axis=1) * magnitudes[0]
        if "bias" in parameters:
            bound = bound + np.abs(parameters["bias"])
        return int(bound.max())

    def macs(self, task: Task, graph: TaskGraph) -> int:
        """Weights times output pixels."""
        return int(task.parameters["weight"].values.size) * graph.output_tensor(task).pixels

    def work(self, task: Task, graph: TaskGraph) -> MacWork:
        """A mac unit behind a sliding window; none for 1x1 kernels, whose pixels stream straight through."""
        _, channels, height, width = graph.input_tensors(task)[0].shape
        _, outputs, out_height, out_width = graph.output_tensor(task).shape
        pointwise = self.kernel == (1, 1) and self.stride == (1, 1) and not any(self.pads)
        window = Window(
            height,
            width,
            self.kernel,
            self.stride,
            self.dilation,
            self.pads[0],
            self.pads[1],
            out_height,
            out_width,
        )
        return MacWork(out_height * out_width, channels, outputs, None if pointwise else window)

    def weights_by_position(self, task: Task, graph: TaskGraph) -> Array:
        """Kernel positions row by row."""
        weight = task.parameters["weight"].values
        return weight.reshape(*weight.shape[:2], -1).transpose(0, 2, 1)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX Conv."""
        operands = [builder.activation(task.inputs[0]), *builder.parameters(task, "weight", "bias")]
        return builder.node(
            "Conv",
            operands,
            kernel_shape=self.kernel,
            strides=self.stride,
            dilations=self.dilation,
            pads=self.pads,
        )

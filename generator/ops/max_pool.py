"""MaxPool and GlobalMaxPool: 2-D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array, Operator
from ..work import PoolWork, Reduction, Window
from .sliding import output_size, patches
from .window_attributes import WindowAttributes

if TYPE_CHECKING:
    from ..onnx_node import OnnxNode
    from ..qdq import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class MaxPool(Operator):
    """Largest value under each window; padding never wins. `pads` is (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    name: ClassVar[str] = "MaxPool"
    onnx_types: ClassVar[tuple[str, ...]] = ("MaxPool", "GlobalMaxPool")

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """MaxPool, or GlobalMaxPool as one window over the image."""
        x = node.image()
        if node.op_type == "GlobalMaxPool":
            return node.task(cls((x.shape[2], x.shape[3])))
        node.require(len(node.outputs) == 1, "output Indices is used. Supported: the first output only")
        window = WindowAttributes.from_onnx(node, x, node.pair("kernel_shape"))
        window.require_pads_below_kernel(node)
        size = (x.shape[2], x.shape[3])
        node.require(
            all(window.dilation[i] <= size[i] or not window.pads[i] + window.pads[i + 2] for i in (0, 1)),
            f"with dilations {list(window.dilation)} on a {size[0]} x {size[1]} image a window sees nothing but "
            "padding. Supported: dilations up to the size of the image, or no padding",
        )
        if node.attributes.get("ceil_mode", 0):
            window = window.extended(size)
        return node.task(cls(window.kernel, window.stride, window.dilation, window.pads))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, channels, out height, out width), channels on axis 1."""
        _, channels, *size = inputs[0].shape
        return (
            1,
            channels,
            *output_size((size[0], size[1]), self.kernel, self.stride, self.dilation, self.pads),
        ), 1

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The maximum; exact."""
        x = inputs[0]
        fill = -np.inf if x.dtype.kind == "f" else np.iinfo(np.int64).min
        windows = patches(x[:, 0], self.kernel, self.stride, self.dilation, self.pads, fill=fill)
        largest: Array = windows.max(axis=(2, 3))[:, np.newaxis]
        return largest

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """No larger than the input."""
        return magnitudes[0]

    def keeps_format(self) -> bool:
        """A maximum is one of its inputs."""
        return True

    def work(self, task: Task, graph: TaskGraph) -> PoolWork:
        """A pool unit."""
        _, channels, height, width = graph.input_tensors(task)[0].shape
        _, _, out_height, out_width = graph.output_tensor(task).shape
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
        return PoolWork(out_height * out_width, channels, window, Reduction.MAX)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX MaxPool."""
        return builder.node(
            "MaxPool",
            [builder.activation(task.inputs[0])],
            kernel_shape=self.kernel,
            strides=self.stride,
            dilations=self.dilation,
            pads=self.pads,
        )

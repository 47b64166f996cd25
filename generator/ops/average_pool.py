"""AveragePool and GlobalAveragePool: 2-D, floor mode, padding counted as zeros."""

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
class AveragePool(Operator):
    """Mean under each window. `pads` is (top, left, bottom, right); padded zeros count."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    name: ClassVar[str] = "AveragePool"
    onnx_types: ClassVar[tuple[str, ...]] = ("AveragePool", "GlobalAveragePool")

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """AveragePool, or GlobalAveragePool as one window over the image."""
        x = node.image()
        size = (x.shape[2], x.shape[3])
        if node.op_type == "GlobalAveragePool":
            return node.task(cls(size))
        window = WindowAttributes.from_onnx(node, x, node.pair("kernel_shape"))
        window.require_pads_below_kernel(node)
        node.require(
            window.dilation == (1, 1),
            f"dilations must be [1, 1], not {list(window.dilation)}. Supported: [1, 1]",
        )
        node.require(
            not any(window.pads) or bool(node.attributes.get("count_include_pad", 0)),
            f"pads {list(window.pads)} with count_include_pad=0 divide by another number at the border. "
            "Supported: count_include_pad=1, or no padding",
        )
        node.require(
            not node.attributes.get("ceil_mode", 0) or window.extended(size) == window,
            f"ceil_mode=1 adds windows that hang over the border of the {size[0]} x {size[1]} image. "
            "Supported: ceil_mode=0, or sizes where the windows fit exactly",
        )
        return node.task(cls(window.kernel, window.stride, window.pads))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, channels, out height, out width), channels on axis 1."""
        _, channels, *size = inputs[0].shape
        return (1, channels, *output_size((size[0], size[1]), self.kernel, self.stride, (1, 1), self.pads)), 1

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The sum."""
        windows = patches(inputs[0][:, 0], self.kernel, self.stride, (1, 1), self.pads, fill=0)
        total: Array = windows.sum(axis=(2, 3))[:, np.newaxis]
        return total

    @property
    def divisor(self) -> int:
        """Number of kernel positions."""
        return self.kernel[0] * self.kernel[1]

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """Kernel positions times the largest input."""
        return self.divisor * magnitudes[0]

    def work(self, task: Task, graph: TaskGraph) -> PoolWork:
        """A pool unit that sums and divides."""
        _, channels, height, width = graph.input_tensors(task)[0].shape
        _, _, out_height, out_width = graph.output_tensor(task).shape
        window = Window(
            height, width, self.kernel, self.stride, (1, 1), self.pads[0], self.pads[1], out_height, out_width
        )
        return PoolWork(out_height * out_width, channels, window, Reduction.SUM)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX AveragePool."""
        return builder.node(
            "AveragePool",
            [builder.activation(task.inputs[0])],
            kernel_shape=self.kernel,
            strides=self.stride,
            pads=self.pads,
            count_include_pad=1,
        )

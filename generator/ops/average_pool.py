"""AveragePool and GlobalAveragePool: 2-D and 1-D, floor mode, padding counted as zeros; decompose/average_pool.py does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array, Operator
from ..work import PoolWork, Reduction
from .sliding import (
    image_shape,
    image_size,
    images,
    onnx_geometry,
    output_size,
    patches,
    reduce_windows,
    samples_like,
    window,
)
from .window_attributes import WindowAttributes

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class AveragePool(Operator):
    """Mean under each window. `pads` is (top, left, bottom, right); padded zeros count."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    name: ClassVar[str] = "AveragePool"
    homogeneous: ClassVar[bool] = True
    onnx_types: ClassVar[tuple[str, ...]] = ("AveragePool", "GlobalAveragePool")

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """AveragePool all of whose windows divide by the same number, or GlobalAveragePool as one window over the image."""
        x = node.image()
        size = image_size(x.shape)
        if node.op_type == "GlobalAveragePool":
            return node.task(cls(size))
        windows = WindowAttributes.from_onnx(node, x, node.pair("kernel_shape"))
        windows.require_pads_below_kernel(node)
        return node.task(cls(windows.kernel, windows.stride, windows.pads, windows.dilation))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, channels, out height, out width), channels on axis 1; without the height for signals."""
        shape = inputs[0].shape
        size = output_size(image_size(shape), self.kernel, self.stride, self.dilation, self.pads)
        return image_shape(shape, shape[1], size), 1

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Windows slide over the axes behind the channels."""
        return (1,)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The sum."""
        x = inputs[0]
        windows = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=0)
        return samples_like(x, reduce_windows(windows, np.add))

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
        output = graph.output_tensor(task)
        geometry = window(graph, task, self.kernel, self.stride, self.pads, self.dilation)
        return PoolWork(output.pixels, output.channels, geometry, Reduction.SUM)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX AveragePool."""
        shape = graph.input_tensors(task)[0].shape
        dilation = None if self.dilation == (1, 1) else self.dilation  # not all of ONNX Runtime knows it
        geometry = onnx_geometry(shape, self.kernel, self.stride, self.pads, dilation)
        operands = [builder.activation(task.inputs[0])]
        return builder.node("AveragePool", operands, **geometry, count_include_pad=1)

"""AveragePool and GlobalAveragePool: 2-D and 1-D, floor mode, padding counted as zeros; decompose/average_pool.py does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array
from ..work import PoolWork, Reduction
from .pool import Pool
from .sliding import image_size, onnx_geometry, reduce_windows, samples_like
from .window_attributes import WindowAttributes

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class AveragePool(Pool):
    """Mean under each window; padded zeros count."""

    name: ClassVar[str] = "AveragePool"
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
        return node.task(cls(windows.kernel, windows.stride, windows.dilation, windows.pads))

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The sum."""
        x = inputs[0]
        return samples_like(x, reduce_windows(self.windows(x, fill=0), np.add))

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
        return PoolWork(output.pixels, output.channels, self.geometry(task, graph), Reduction.SUM)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX AveragePool."""
        shape = graph.input_tensors(task)[0].shape
        dilation = None if self.dilation == (1, 1) else self.dilation  # not all of ONNX Runtime knows it
        geometry = onnx_geometry(shape, self.kernel, self.stride, self.pads, dilation)
        operands = [builder.activation(task.inputs[0])]
        return builder.node("AveragePool", operands, **geometry, count_include_pad=1)

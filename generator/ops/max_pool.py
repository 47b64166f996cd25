"""MaxPool and GlobalMaxPool: 2-D and 1-D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array
from ..work import PoolWork, Reduction, RowPoolWork
from .pool import Pool
from .sliding import image_size, onnx_geometry, reduce_windows, rows_fit, samples_like
from .window_attributes import WindowAttributes

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class MaxPool(Pool):
    """Largest value under each window; padding never wins."""

    name: ClassVar[str] = "MaxPool"
    onnx_types: ClassVar[tuple[str, ...]] = ("MaxPool", "GlobalMaxPool")

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """MaxPool, or GlobalMaxPool as one window over the image."""
        x = node.image()
        if node.op_type == "GlobalMaxPool":
            return node.task(cls(image_size(x.shape)))
        node.require(len(node.outputs) == 1, "output Indices is used. Supported: the first output only")
        windows = WindowAttributes.from_onnx(node, x, node.pair("kernel_shape"))
        windows.require_pads_below_kernel(node)
        size = image_size(x.shape)
        node.require(
            all(windows.dilation[i] <= size[i] or not windows.pads[i] + windows.pads[i + 2] for i in (0, 1)),
            f"with dilations {list(windows.dilation)} on a {size[0]} x {size[1]} image a window sees nothing but "
            "padding. Supported: dilations up to the size of the image, or no padding",
        )
        if node.attributes.get("ceil_mode", 0):
            windows = windows.extended(size)
        return node.task(cls(windows.kernel, windows.stride, windows.dilation, windows.pads))

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Windows slide over the axes behind the channels; of an image of one channel, rows may lie in words."""
        axis = inputs[0].channel_axis
        return (axis if self.pools_rows(inputs[0]) else 1,)

    def pools_rows(self, x: Tensor) -> bool:
        """True if a row pool unit can take the windows: of an image of one channel, whose rows lie in words."""
        in_rows = x.shape[1] == 1 and x.channel_axis == len(x.shape) - 1
        return in_rows and rows_fit(self.kernel, self.stride, self.dilation, self.pads)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The maximum; exact."""
        x = inputs[0]
        fill = -np.inf if x.dtype.kind == "f" else np.iinfo(np.int64).min
        return samples_like(x, reduce_windows(self.windows(x, fill), np.maximum))

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """No larger than the input."""
        return magnitudes[0]

    def keeps_format(self) -> bool:
        """A maximum is one of its inputs."""
        return True

    def work(self, task: Task, graph: TaskGraph) -> PoolWork | RowPoolWork:
        """A pool unit, for channels or for rows."""
        output = graph.output_tensor(task)
        geometry = self.geometry(task, graph)
        if self.pools_rows(graph.input_tensors(task)[0]):
            return RowPoolWork(geometry)
        return PoolWork(output.pixels, output.channels, geometry, Reduction.MAX)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX MaxPool."""
        shape = graph.input_tensors(task)[0].shape
        geometry = onnx_geometry(shape, self.kernel, self.stride, self.pads, self.dilation)
        return builder.node("MaxPool", [builder.activation(task.inputs[0])], **geometry)

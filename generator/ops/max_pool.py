"""MaxPool and GlobalMaxPool: 2-D and 1-D."""

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
    homogeneous: ClassVar[bool] = True
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

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, channels, out height, out width), channels on axis 1; without the height for signals."""
        shape = inputs[0].shape
        size = output_size(image_size(shape), self.kernel, self.stride, self.dilation, self.pads)
        return image_shape(shape, shape[1], size), 1

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Windows slide over the axes behind the channels."""
        return (1,)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The maximum; exact."""
        x = inputs[0]
        fill = -np.inf if x.dtype.kind == "f" else np.iinfo(np.int64).min
        windows = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=fill)
        return samples_like(x, reduce_windows(windows, np.maximum))

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
        output = graph.output_tensor(task)
        geometry = window(graph, task, self.kernel, self.stride, self.pads, self.dilation)
        return PoolWork(output.pixels, output.channels, geometry, Reduction.MAX)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX MaxPool."""
        shape = graph.input_tensors(task)[0].shape
        geometry = onnx_geometry(shape, self.kernel, self.stride, self.pads, self.dilation)
        return builder.node("MaxPool", [builder.activation(task.inputs[0])], **geometry)

"""What pools share, whatever they make of a window: its geometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..operator import Array, Operator
from ..work import Window
from .sliding import image_shape, image_size, images, output_size, patches, window

if TYPE_CHECKING:
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class Pool(Operator):
    """Base of pools, over images or, with kernel height 1, over signals (1, channels, length).

    `pads` is (top, left, bottom, right).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    homogeneous: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, channels, out height, out width) without the height for signals, and the channels' axis."""
        shape = inputs[0].shape
        size = output_size(image_size(shape), self.kernel, self.stride, self.dilation, self.pads)
        return image_shape(shape, shape[1], size), self.channel_axes(inputs)[0]

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Windows slide over the axes behind the channels."""
        return (1,)

    def windows(self, x: Array, fill: float) -> Array:
        """All windows of samples of x, padded with `fill`: as `patches` has them."""
        return patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=fill)

    def geometry(self, task: Task, graph: TaskGraph) -> Window:
        """What the hardware slides over the input."""
        return window(graph, task, self.kernel, self.stride, self.pads, self.dilation)

"""Stencil: convolution of one channel into one, of which the hardware makes a word of pixels per cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..operator import Array
from ..work import StencilWork
from .conv import Conv
from .sliding import rows_fit, window

if TYPE_CHECKING:
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class Stencil(Conv):
    """A Conv of one input and one output channel; the elements of a row lie side by side in words, instead of channels."""

    name: ClassVar[str] = "Stencil"
    onnx_types: ClassVar[tuple[str, ...]] = ()

    @property
    def fits(self) -> bool:
        """True if words of any width can carry the windows."""
        return rows_fit(self.kernel, self.stride, self.dilation, self.pads)

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, 1, out height, out width), elements of a row side by side."""
        shape, _ = super().infer(inputs, parameters)
        return shape, len(shape) - 1

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Rows lie in words."""
        return (len(inputs[0].shape) - 1,)

    def work(self, task: Task, graph: TaskGraph) -> StencilWork:  # type: ignore[override]
        """A stencil unit."""
        return StencilWork(window(graph, task, self.kernel, self.stride, self.pads, self.dilation))

"""Reshape: Flatten, Reshape, Squeeze and Unsqueeze; the same values in the same order, in another shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from ..errors import IntarsiaError
from ..operator import Array, Operator

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task, Tensor


@dataclass(frozen=True)
class Reshape(Operator):
    """Y = X in C order, of `shape`, whose first axis is the batch (1)."""

    shape: tuple[int, ...]

    name: ClassVar[str] = "Reshape"
    onnx_types: ClassVar[tuple[str, ...]] = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
    transient: ClassVar[str] = (
        "a change of shape must flatten each sample for a Gemm or MatMul, come first, or come last in the model"
    )

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Any of them; shape inference already told the result."""
        return node.task(cls(node.output_shape))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """`shape`; channels on axis 1 of an image, else on the last axis."""
        if prod(self.shape) != prod(inputs[0].shape):
            raise IntarsiaError(f"{inputs[0].name!r} of shape {inputs[0].shape} cannot become {self.shape}")
        return self.shape, channel_axis(len(self.shape))

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The same values."""
        return inputs[0].reshape(-1, *self.shape)


def channel_axis(rank: int) -> int:
    """Axis of the channels where nothing else tells: 1 of an image (batch, channels, ..), else the last one."""
    return 1 if rank == 4 else rank - 1

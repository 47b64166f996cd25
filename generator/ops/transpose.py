"""Transpose: another order of the axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..operator import Array, Operator
from .reshape import Reshape

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task, Tensor


@dataclass(frozen=True)
class Transpose(Operator):
    """Axis i of Y is axis perm[i] of X; perm[0] = 0, the batch."""

    perm: tuple[int, ...]

    name: ClassVar[str] = "Transpose"
    onnx_types: ClassVar[tuple[str, ...]] = ("Transpose",)
    transient: ClassVar[str] = (
        "a transposition must go, with a flatten, into a Gemm or MatMul, or only move axes of size 1. "
        "Export the model with inputs (batch, channels, height, width)"
    )

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Transpose within each sample; one that moves only axes of size 1 is a Reshape."""
        shape = node.tensor().shape
        perm = tuple(node.attributes.get("perm", range(len(shape))[::-1]))
        if keeps_order(shape, perm):
            return node.task(Reshape(node.output_shape))
        node.require(
            perm[0] == 0, f"perm {list(perm)} moves the batch axis. Supported: permutations with 0 first"
        )
        return node.task(cls(perm))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """The permuted shape."""
        return tuple(inputs[0].shape[axis] for axis in self.perm), self.perm.index(inputs[0].channel_axis)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The permuted values."""
        return inputs[0].transpose(0, *(axis + 1 for axis in self.perm))


def keeps_order(shape: Sequence[int], perm: Sequence[int]) -> bool:
    """True if the permutation leaves the values in order, because it only moves axes of size 1."""
    moved = [axis for axis in perm if shape[axis] != 1]
    return moved == sorted(moved)

"""Clamp: Relu and Clip. The bounds live in the task's `clamp`, where every task has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..operator import Array, Operator

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task, Tensor


@dataclass(frozen=True)
class Clamp(Operator):
    """Y = X, within the task's bounds."""

    name: ClassVar[str] = "Clamp"
    onnx_types: ClassVar[tuple[str, ...]] = ("Relu", "Clip")
    transient: ClassVar[str] = "a clamp must become part of another task"

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Relu, or Clip with constant bounds."""
        return node.task(cls(), clamp=(0.0, math.inf) if node.op_type == "Relu" else _clip_bounds(node))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the input."""
        return inputs[0].shape, inputs[0].channel_axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The input; the golden clamps."""
        return inputs[0]


def _clip_bounds(node: OnnxNode) -> tuple[float, float]:
    """Bounds from attributes (opset 6) or inputs (opset 11); ONNX gives the maximum where they cross."""
    bounds = [node.attributes.get("min", -math.inf), node.attributes.get("max", math.inf)]
    for index in (1, 2):
        if (bound := node.constant(index)) is not None:
            node.require(
                bound.size == 1, f"input {index} has shape {bound.shape}. Supported: a single number"
            )
            bounds[index - 1] = bound.item()
    node.require(
        not any(math.isnan(bound) for bound in bounds), "a bound is NaN. Supported: numbers, infinity"
    )
    return min(float(bounds[0]), float(bounds[1])), float(bounds[1])

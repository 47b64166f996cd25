"""Mask: elements that must not count are minus infinity, for the Softmax that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array, Operator
from ..task_graph import Tensor

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task

LEAST = -1e4
"""What models put for minus infinity is at most this; no difference of scores comes near it."""


@dataclass(frozen=True)
class Mask(Operator):
    """Y = X where the parameter `kept`, which is broadcast to X, is not 0; else minus infinity."""

    name: ClassVar[str] = "Mask"
    onnx_types: ClassVar[tuple[str, ...]] = ("Where",)
    transient: ClassVar[str] = (
        "a mask of minus infinity must go into the Softmax behind it, which alone reads it"
    )

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Where(c, x, low) or Where(c, low, x) with a constant condition and a low constant."""
        condition = node.constant(0)
        kept_if = isinstance(node.operand(1), Tensor)
        source, other = (1, 2) if kept_if else (2, 1)
        low = node.constant(other)
        node.require(
            condition is not None and low is not None and bool((np.asarray(low) <= LEAST).all()),
            f"it chooses between values. Supported: a constant condition and minus infinity (at most {LEAST:g}) for one "
            "of the two, before a Softmax",
        )
        kept = np.asarray(condition, dtype=bool) == kept_if
        return node.task(cls(), {"kept": kept.astype(np.float64)}, sources=(source,))

    @classmethod
    def from_sum(cls, node: OnnxNode, source: int, summand: Array) -> Task | None:
        """x + mask, whose elements are 0 or minus infinity; None if the summand is something else."""
        low = summand <= LEAST
        if not low.any() or not (summand[~low] == 0).all():
            return None
        return node.task(cls(), {"kept": (~low).astype(np.float64)}, sources=(source,))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the input."""
        return inputs[0].shape, inputs[0].channel_axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """With minus infinity."""
        return np.where(parameters["kept"] != 0, inputs[0], -np.inf)

"""Add, Sub, Mul, Max and Min of two computed tensors of one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from ..errors import IntarsiaError
from ..operator import Array, Operator
from ..work import Combination, CombineWork

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint
    from ..onnx_node import OnnxNode
    from ..qdq import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class Combine(Operator):
    """Y = A op B, element by element, for operands of the same shape.

    `shifts` are left shifts that bring raw operands of different exponents to one unit; `aligned` sets them.
    """

    shifts: tuple[int, int] = (0, 0)

    kind: ClassVar[Combination]

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """A node whose two operands are both computed."""
        first, second = node.tensor(0), node.tensor(1)
        node.require(len(node.inputs) == 2, f"it has {len(node.inputs)} operands. Supported: two")
        node.require(
            first.shape == second.shape,
            f"its operands have shapes {first.shape} and {second.shape}. Supported: one shape for both",
        )
        return node.task(cls(), sources=(0, 1))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """The operands' shape."""
        first, second = inputs
        if (first.shape, first.channel_axis) != (second.shape, second.channel_axis):
            raise IntarsiaError(f"{first.name!r} and {second.name!r} differ in shape or layout")
        return first.shape, first.channel_axis

    def aligned(self, inputs: Sequence[FixedPoint]) -> Self:
        """Shifts both operands to the finer of their steps; a product needs none."""
        if self.kind is Combination.PRODUCT:
            return self
        finest = self.exponent([number.exponent for number in inputs])
        first, second = (number.exponent - finest for number in inputs)
        return replace(self, shifts=(first, second))

    def exponent(self, inputs: Sequence[int]) -> int:
        """The finer of the operands' steps, or their product."""
        return sum(inputs) if self.kind is Combination.PRODUCT else min(inputs)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Exact for integers."""
        first, second = (values * (1 << shift) for values, shift in zip(inputs, self.shifts, strict=True))
        result: Array
        match self.kind:
            case Combination.SUM:
                result = first + second
            case Combination.DIFFERENCE:
                result = first - second
            case Combination.PRODUCT:
                result = first * second
            case Combination.MAXIMUM:
                result = np.maximum(first, second)
            case Combination.MINIMUM:
                result = np.minimum(first, second)
        return result

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """Sum, product or maximum of the aligned magnitudes."""
        first, second = (size << shift for size, shift in zip(magnitudes, self.shifts, strict=True))
        match self.kind:
            case Combination.SUM | Combination.DIFFERENCE:
                return first + second
            case Combination.PRODUCT:
                return first * second
            case Combination.MAXIMUM | Combination.MINIMUM:
                return max(first, second)

    def work(self, task: Task, graph: TaskGraph) -> CombineWork:
        """A combine unit."""
        output = graph.output_tensor(task)
        return CombineWork(output.pixels, output.channels, self.kind, self.shifts)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """The ONNX operator of the same name."""
        return builder.node(self.name, [builder.activation(name) for name in task.inputs])


@dataclass(frozen=True)
class Add(Combine):
    """A + B: skip connections."""

    name: ClassVar[str] = "Add"
    kind: ClassVar[Combination] = Combination.SUM


@dataclass(frozen=True)
class Sub(Combine):
    """A - B."""

    name: ClassVar[str] = "Sub"
    kind: ClassVar[Combination] = Combination.DIFFERENCE


@dataclass(frozen=True)
class Mul(Combine):
    """A * B: gates."""

    name: ClassVar[str] = "Mul"
    kind: ClassVar[Combination] = Combination.PRODUCT


@dataclass(frozen=True)
class Max(Combine):
    """The larger of A and B."""

    name: ClassVar[str] = "Max"
    onnx_types: ClassVar[tuple[str, ...]] = ("Max",)
    kind: ClassVar[Combination] = Combination.MAXIMUM


@dataclass(frozen=True)
class Min(Combine):
    """The smaller of A and B."""

    name: ClassVar[str] = "Min"
    onnx_types: ClassVar[tuple[str, ...]] = ("Min",)
    kind: ClassVar[Combination] = Combination.MINIMUM

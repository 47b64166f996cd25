"""Add, Sub, Mul, Max and Min of two computed tensors of one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import frexp, ldexp, prod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from ..errors import IntarsiaError
from ..operator import Array, Operator
from ..work import Combination, CombineWork

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor

_FACTOR_BITS = 30
"""Of the larger factor: an operand of 16 bits times it stays below 2**47."""
_MOST_FRACTION = 60


@dataclass(frozen=True)
class Combine(Operator):
    """Y = A op B, element by element, for operands of the same shape.

    `shifts` are left shifts that bring raw operands of different exponents to one unit; `aligned` sets them. Operands
    whose scales are no powers of two of one another are multiplied by `factors` instead, which bring them to a unit of
    2**-`fraction` of the output's step.
    """

    shifts: tuple[int, int] = (0, 0)
    factors: tuple[int, int] = (1, 1)
    fraction: int | None = None

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
        if first.shape != second.shape:
            raise IntarsiaError(f"{first.name!r} and {second.name!r} differ in shape")
        return first.shape, first.channel_axis

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Both where the first has them."""
        return (inputs[0].channel_axis,) * 2

    def aligned(self, inputs: Sequence[FixedPoint], output: FixedPoint) -> Self:
        """Brings both operands to one unit; a product needs none."""
        if self.kind is Combination.PRODUCT:
            return self
        if inputs[0].mantissa == inputs[1].mantissa:
            finest = min(number.exponent for number in inputs)
            first, second = (number.exponent - finest for number in inputs)
            return replace(self, shifts=(first, second))
        steps = [number.scale / output.scale for number in inputs]
        fraction = min(_FACTOR_BITS - frexp(max(steps))[1], _MOST_FRACTION)
        first, second = (round(ldexp(step, fraction)) for step in steps)
        return replace(self, factors=(first, second), fraction=fraction)

    def unit(self, inputs: Sequence[float]) -> float:
        """The finer of the operands' steps, or their product."""
        return prod(inputs) if self.kind is Combination.PRODUCT else min(inputs)

    def output_steps(self, inputs: Sequence[float], output: float) -> float:
        """By the fraction, if there is one."""
        return super().output_steps(inputs, output) if self.fraction is None else ldexp(1.0, -self.fraction)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Exact for integers."""
        first, second = (
            values * (factor << shift)
            for values, factor, shift in zip(inputs, self.factors, self.shifts, strict=True)
        )
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
        first, second = (
            size * factor << shift
            for size, factor, shift in zip(magnitudes, self.factors, self.shifts, strict=True)
        )
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
        return CombineWork(output.pixels, output.channels, self.kind, self.shifts, self.factors)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """The ONNX operator of the same name."""
        return builder.node(self.name, [builder.activation(name) for name in task.inputs])


@dataclass(frozen=True)
class Add(Combine):
    """A + B: skip connections."""

    name: ClassVar[str] = "Add"
    homogeneous: ClassVar[bool] = True
    kind: ClassVar[Combination] = Combination.SUM


@dataclass(frozen=True)
class Sub(Combine):
    """A - B."""

    name: ClassVar[str] = "Sub"
    homogeneous: ClassVar[bool] = True
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
    homogeneous: ClassVar[bool] = True
    kind: ClassVar[Combination] = Combination.MAXIMUM


@dataclass(frozen=True)
class Min(Combine):
    """The smaller of A and B."""

    name: ClassVar[str] = "Min"
    homogeneous: ClassVar[bool] = True
    kind: ClassVar[Combination] = Combination.MINIMUM

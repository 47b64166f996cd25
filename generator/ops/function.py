"""Function: any composition of element-wise operators of one tensor, as one table."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..fixed_point import Floats
from .functions import FUNCTIONS
from .table import Table

if TYPE_CHECKING:
    from ..qdq.model import QdqBuilder

Step = tuple[str, tuple[Any, ...], tuple[int, ...]]
"""An operator's name, its numbers, and its operands: 0 is the input, n the result of step n."""

AFFINE, CLAMP = "Affine", "Clamp"
_BY_NAME = {operator.name: operator for operator in FUNCTIONS}
COMBINATIONS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum, "Min": np.minimum}
"""Operators of two tensors that may be steps, by name."""


@dataclass(frozen=True)
class Function(Table):
    """Y = any composition of element-wise operators of X: GELU, SiLU, HardSwish and Mish as exporters write them, ..."""

    steps: tuple[Step, ...] = ()

    name: ClassVar[str] = "Function"

    def function(self, x: Floats) -> Floats:
        """The steps, one after the other."""
        values = [x]
        for name, numbers, operands in self.steps:
            values.append(_apply(name, numbers, [values[operand] for operand in operands]))
        return values[-1]

    def nodes(self, builder: QdqBuilder, x: str) -> str:
        """The ONNX nodes of all steps."""
        values = [x]
        for name, numbers, operands in self.steps:
            values.append(_append(builder, name, numbers, [values[operand] for operand in operands]))
        return values[-1]


def affine(scale: float, shift: float, operand: int) -> Step:
    """scale * operand + shift."""
    return AFFINE, (scale, shift), (operand,)


def clamp(bounds: tuple[float, float], operand: int) -> Step:
    """The operand within bounds; None, which JSON knows, stands for infinity."""
    return CLAMP, tuple(None if math.isinf(bound) else bound for bound in bounds), (operand,)


def combination(name: str, operands: tuple[int, ...]) -> Step:
    """Add, Sub, Mul, Max or Min."""
    return name, (), operands


def call(function: Table, operand: int) -> Step:
    """A function of one value."""
    return function.name, astuple(function), (operand,)


def inlined(function: Function, operand: int, made: int) -> tuple[Step, ...]:
    """The steps of a function of value `operand`, to follow after `made` other steps."""
    number = [operand, *range(made + 1, made + 1 + len(function.steps))]
    return tuple(
        (name, numbers, tuple(number[index] for index in operands))
        for name, numbers, operands in function.steps
    )


def _apply(name: str, numbers: tuple[Any, ...], operands: list[Floats]) -> Floats:
    if name == AFFINE:
        return np.asarray(operands[0] * numbers[0] + numbers[1])
    if name == CLAMP:
        low, high = numbers
        return np.clip(operands[0], -np.inf if low is None else low, np.inf if high is None else high)
    if name in COMBINATIONS:
        return np.asarray(COMBINATIONS[name](*operands))
    return _BY_NAME[name](*numbers).function(operands[0])


def _append(builder: QdqBuilder, name: str, numbers: tuple[Any, ...], operands: list[str]) -> str:
    if name == AFFINE:
        (result,), (scale, shift) = operands, numbers
        if scale != 1:
            result = builder.node("Mul", [result, builder.number(scale, "scale")])
        return builder.node("Add", [result, builder.number(shift, "shift")]) if shift else result
    if name == CLAMP:
        bounds = [
            "" if bound is None else builder.number(bound, what)
            for bound, what in zip(numbers, ("min", "max"), strict=True)
        ]
        return builder.node("Clip", [operands[0], *bounds])
    if name in COMBINATIONS:
        return builder.node(name, operands)
    return _BY_NAME[name](*numbers).nodes(builder, operands[0])

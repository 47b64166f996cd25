"""Powers, exponentials and their inverses, and the error function. Each is a table in hardware (table.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..fixed_point import Floats
from .table import Table

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task

erf = np.vectorize(math.erf, otypes=[np.float64])
"""The error function of every element."""


@dataclass(frozen=True)
class Erf(Table):
    """Y = erf(X), the error function."""

    name: ClassVar[str] = "Erf"
    onnx_types: ClassVar[tuple[str, ...]] = ("Erf",)

    def function(self, x: Floats) -> Floats:
        """The error function."""
        return np.asarray(erf(x), dtype=np.float64)


@dataclass(frozen=True)
class Exp(Table):
    """Y = exp(X)."""

    name: ClassVar[str] = "Exp"
    onnx_types: ClassVar[tuple[str, ...]] = ("Exp",)

    def function(self, x: Floats) -> Floats:
        """The exponential."""
        return np.exp(x)


@dataclass(frozen=True)
class Log(Table):
    """Y = ln(X)."""

    name: ClassVar[str] = "Log"
    onnx_types: ClassVar[tuple[str, ...]] = ("Log",)

    def function(self, x: Floats) -> Floats:
        """The natural logarithm."""
        return np.log(x)


@dataclass(frozen=True)
class Pow(Table):
    """Y = X to the power of a constant."""

    power: float = 1.0

    name: ClassVar[str] = "Pow"
    onnx_types: ClassVar[tuple[str, ...]] = ("Pow",)

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """A node with a constant exponent."""
        node.tensor(0)
        exponents = np.unique(node.weights(1))
        node.require(
            exponents.size == 1,
            f"its exponent has {exponents.size} different values. Supported: up to 8",
        )
        return node.task(cls(float(exponents[0])))

    def function(self, x: Floats) -> Floats:
        """The power."""
        return np.asarray(np.power(x, self.power))

    def nodes(self, builder: QdqBuilder, x: str) -> str:
        """Pow with a constant."""
        return builder.node("Pow", [x, builder.number(self.power, "exponent")])


@dataclass(frozen=True)
class Reciprocal(Table):
    """Y = 1 / X."""

    name: ClassVar[str] = "Reciprocal"
    onnx_types: ClassVar[tuple[str, ...]] = ("Reciprocal",)

    def function(self, x: Floats) -> Floats:
        """The inverse."""
        return 1 / x


@dataclass(frozen=True)
class Sqrt(Table):
    """Y = the square root of X."""

    name: ClassVar[str] = "Sqrt"
    onnx_types: ClassVar[tuple[str, ...]] = ("Sqrt",)

    def function(self, x: Floats) -> Floats:
        """The root."""
        return np.sqrt(x)

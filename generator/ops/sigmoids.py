"""Functions that rise from one level to another, and gates made of them. Each is a table in hardware (table.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..fixed_point import Floats
from .powers import erf
from .table import Table

if TYPE_CHECKING:
    from ..qdq.model import QdqBuilder


@dataclass(frozen=True)
class Gelu(Table):
    """Y = X * (1 + erf(X / sqrt(2))) / 2, or its approximation by tanh."""

    approximate: str = "none"

    name: ClassVar[str] = "Gelu"
    onnx_types: ClassVar[tuple[str, ...]] = ("Gelu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        if self.approximate == "tanh":
            inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        else:
            inner = erf(x / math.sqrt(2))
        return np.asarray(0.5 * x * (1 + inner))


@dataclass(frozen=True)
class HardSigmoid(Table):
    """Y = alpha * X + beta, within 0 and 1."""

    alpha: float = 0.2
    beta: float = 0.5

    name: ClassVar[str] = "HardSigmoid"
    onnx_types: ClassVar[tuple[str, ...]] = ("HardSigmoid",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.clip(self.alpha * x + self.beta, 0, 1)


@dataclass(frozen=True)
class HardSwish(Table):
    """Y = X * (X / 6 + 1/2, within 0 and 1)."""

    name: ClassVar[str] = "HardSwish"
    onnx_types: ClassVar[tuple[str, ...]] = ("HardSwish",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return x * np.clip(x / 6 + 0.5, 0, 1)


@dataclass(frozen=True)
class Mish(Table):
    """Y = X * tanh(ln(1 + exp(X)))."""

    name: ClassVar[str] = "Mish"
    onnx_types: ClassVar[tuple[str, ...]] = ("Mish",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return x * np.tanh(np.logaddexp(0, x))


@dataclass(frozen=True)
class Sigmoid(Table):
    """Y = 1 / (1 + exp(-X))."""

    name: ClassVar[str] = "Sigmoid"
    onnx_types: ClassVar[tuple[str, ...]] = ("Sigmoid",)

    def function(self, x: Floats) -> Floats:
        """The logistic function."""
        return _sigmoid(x)


@dataclass(frozen=True)
class Softplus(Table):
    """Y = ln(1 + exp(X))."""

    name: ClassVar[str] = "Softplus"
    onnx_types: ClassVar[tuple[str, ...]] = ("Softplus",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.logaddexp(0, x)


@dataclass(frozen=True)
class Softsign(Table):
    """Y = X / (1 + |X|)."""

    name: ClassVar[str] = "Softsign"
    onnx_types: ClassVar[tuple[str, ...]] = ("Softsign",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.asarray(x / (1 + np.abs(x)))


@dataclass(frozen=True)
class Swish(Table):
    """Y = X / (1 + exp(-alpha * X)); SiLU for alpha = 1."""

    alpha: float = 1.0

    name: ClassVar[str] = "Swish"
    onnx_types: ClassVar[tuple[str, ...]] = ("Swish",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return x * _sigmoid(self.alpha * x)

    def nodes(self, builder: QdqBuilder, x: str) -> str:
        """X * Sigmoid(alpha * X): ONNX has Swish since opset 24 only."""
        scaled = x if self.alpha == 1 else builder.node("Mul", [x, builder.number(self.alpha, "alpha")])
        return builder.node("Mul", [x, builder.node("Sigmoid", [scaled])])


@dataclass(frozen=True)
class Tanh(Table):
    """Y = tanh(X)."""

    name: ClassVar[str] = "Tanh"
    onnx_types: ClassVar[tuple[str, ...]] = ("Tanh",)

    def function(self, x: Floats) -> Floats:
        """The hyperbolic tangent."""
        return np.tanh(x)


def _sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -x))

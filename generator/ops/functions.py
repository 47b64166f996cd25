"""Functions of single elements that ONNX has operators for. Each is a table in hardware (table.py)."""

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

_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class Abs(Table):
    """Y = |X|."""

    name: ClassVar[str] = "Abs"
    onnx_types: ClassVar[tuple[str, ...]] = ("Abs",)

    def function(self, x: Floats) -> Floats:
        """The magnitude."""
        return np.abs(x)


@dataclass(frozen=True)
class Celu(Table):
    """Y = X, or alpha * (exp(X / alpha) - 1) where X < 0."""

    alpha: float = 1.0

    name: ClassVar[str] = "Celu"
    onnx_types: ClassVar[tuple[str, ...]] = ("Celu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.maximum(x, 0) + np.minimum(0, self.alpha * np.expm1(x / self.alpha))


@dataclass(frozen=True)
class Ceil(Table):
    """Y = X, rounded up."""

    name: ClassVar[str] = "Ceil"
    onnx_types: ClassVar[tuple[str, ...]] = ("Ceil",)

    def function(self, x: Floats) -> Floats:
        """The next integer."""
        return np.ceil(x)


@dataclass(frozen=True)
class Elu(Table):
    """Y = X, or alpha * (exp(X) - 1) where X < 0."""

    alpha: float = 1.0

    name: ClassVar[str] = "Elu"
    onnx_types: ClassVar[tuple[str, ...]] = ("Elu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.where(x < 0, self.alpha * np.expm1(x), x)


@dataclass(frozen=True)
class Erf(Table):
    """Y = erf(X), the error function."""

    name: ClassVar[str] = "Erf"
    onnx_types: ClassVar[tuple[str, ...]] = ("Erf",)

    def function(self, x: Floats) -> Floats:
        """The error function."""
        return np.asarray(_erf(x), dtype=np.float64)


@dataclass(frozen=True)
class Exp(Table):
    """Y = exp(X)."""

    name: ClassVar[str] = "Exp"
    onnx_types: ClassVar[tuple[str, ...]] = ("Exp",)

    def function(self, x: Floats) -> Floats:
        """The exponential."""
        return np.exp(x)


@dataclass(frozen=True)
class Floor(Table):
    """Y = X, rounded down."""

    name: ClassVar[str] = "Floor"
    onnx_types: ClassVar[tuple[str, ...]] = ("Floor",)

    def function(self, x: Floats) -> Floats:
        """The integer below."""
        return np.floor(x)


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
            inner = _erf(x / math.sqrt(2))
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
class LeakyRelu(Table):
    """Y = X, or alpha * X where X < 0. PRelu with a single slope is the same."""

    alpha: float = 0.01

    name: ClassVar[str] = "LeakyRelu"
    onnx_types: ClassVar[tuple[str, ...]] = ("LeakyRelu", "PRelu")

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """LeakyRelu, or PRelu whose slopes are all the same."""
        if node.op_type == "LeakyRelu":
            return super().from_onnx(node)
        slopes = np.unique(node.weights(1))
        node.require(
            slopes.size == 1,
            f"it has {slopes.size} different slopes. Supported: one slope for all channels. Train with "
            "torch.nn.PReLU(num_parameters=1), or use LeakyRelu",
        )
        return node.task(cls(float(slopes[0])))

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.where(x < 0, self.alpha * x, x)


@dataclass(frozen=True)
class Log(Table):
    """Y = ln(X)."""

    name: ClassVar[str] = "Log"
    onnx_types: ClassVar[tuple[str, ...]] = ("Log",)

    def function(self, x: Floats) -> Floats:
        """The natural logarithm."""
        return np.log(x)


@dataclass(frozen=True)
class Mish(Table):
    """Y = X * tanh(ln(1 + exp(X)))."""

    name: ClassVar[str] = "Mish"
    onnx_types: ClassVar[tuple[str, ...]] = ("Mish",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return x * np.tanh(np.logaddexp(0, x))


@dataclass(frozen=True)
class Neg(Table):
    """Y = -X."""

    name: ClassVar[str] = "Neg"
    onnx_types: ClassVar[tuple[str, ...]] = ("Neg",)

    def function(self, x: Floats) -> Floats:
        """The opposite."""
        return -x


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
class Round(Table):
    """Y = the integer nearest to X, the even one of two."""

    name: ClassVar[str] = "Round"
    onnx_types: ClassVar[tuple[str, ...]] = ("Round",)

    def function(self, x: Floats) -> Floats:
        """Half to even."""
        return np.rint(x)


@dataclass(frozen=True)
class Selu(Table):
    """Y = gamma * X, or gamma * alpha * (exp(X) - 1) where X < 0."""

    alpha: float = 1.67326319217681884765625
    gamma: float = 1.05070102214813232421875

    name: ClassVar[str] = "Selu"
    onnx_types: ClassVar[tuple[str, ...]] = ("Selu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return self.gamma * np.where(x <= 0, self.alpha * np.expm1(x), x)


@dataclass(frozen=True)
class Sigmoid(Table):
    """Y = 1 / (1 + exp(-X))."""

    name: ClassVar[str] = "Sigmoid"
    onnx_types: ClassVar[tuple[str, ...]] = ("Sigmoid",)

    def function(self, x: Floats) -> Floats:
        """The logistic function."""
        return _sigmoid(x)


@dataclass(frozen=True)
class Sign(Table):
    """Y = -1, 0 or 1."""

    name: ClassVar[str] = "Sign"
    onnx_types: ClassVar[tuple[str, ...]] = ("Sign",)

    def function(self, x: Floats) -> Floats:
        """The sign."""
        return np.sign(x)


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
class Sqrt(Table):
    """Y = the square root of X."""

    name: ClassVar[str] = "Sqrt"
    onnx_types: ClassVar[tuple[str, ...]] = ("Sqrt",)

    def function(self, x: Floats) -> Floats:
        """The root."""
        return np.sqrt(x)


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


@dataclass(frozen=True)
class ThresholdedRelu(Table):
    """Y = X where X > alpha, else 0."""

    alpha: float = 1.0

    name: ClassVar[str] = "ThresholdedRelu"
    onnx_types: ClassVar[tuple[str, ...]] = ("ThresholdedRelu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.where(x > self.alpha, x, 0)


def _sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -x))


FUNCTIONS: tuple[type[Table], ...] = (
    Abs,
    Celu,
    Ceil,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    Mish,
    Neg,
    Pow,
    Reciprocal,
    Round,
    Selu,
    Sigmoid,
    Sign,
    Softplus,
    Softsign,
    Sqrt,
    Swish,
    Tanh,
    ThresholdedRelu,
)

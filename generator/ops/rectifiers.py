"""Functions that pass positive values on, and bend or drop the others. Each is a table in hardware (table.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..fixed_point import Floats
from .table import Table

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task


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
class Elu(Table):
    """Y = X, or alpha * (exp(X) - 1) where X < 0."""

    alpha: float = 1.0

    name: ClassVar[str] = "Elu"
    onnx_types: ClassVar[tuple[str, ...]] = ("Elu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.where(x < 0, self.alpha * np.expm1(x), x)


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
class ThresholdedRelu(Table):
    """Y = X where X > alpha, else 0."""

    alpha: float = 1.0

    name: ClassVar[str] = "ThresholdedRelu"
    onnx_types: ClassVar[tuple[str, ...]] = ("ThresholdedRelu",)

    def function(self, x: Floats) -> Floats:
        """As ONNX defines it."""
        return np.where(x > self.alpha, x, 0)

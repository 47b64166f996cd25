"""Functions of the sign, and roundings to integers. Each is a table in hardware (table.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import Floats
from .table import Table


@dataclass(frozen=True)
class Abs(Table):
    """Y = |X|."""

    name: ClassVar[str] = "Abs"
    onnx_types: ClassVar[tuple[str, ...]] = ("Abs",)

    def function(self, x: Floats) -> Floats:
        """The magnitude."""
        return np.abs(x)


@dataclass(frozen=True)
class Ceil(Table):
    """Y = X, rounded up."""

    name: ClassVar[str] = "Ceil"
    onnx_types: ClassVar[tuple[str, ...]] = ("Ceil",)

    def function(self, x: Floats) -> Floats:
        """The next integer."""
        return np.ceil(x)


@dataclass(frozen=True)
class Floor(Table):
    """Y = X, rounded down."""

    name: ClassVar[str] = "Floor"
    onnx_types: ClassVar[tuple[str, ...]] = ("Floor",)

    def function(self, x: Floats) -> Floats:
        """The integer below."""
        return np.floor(x)


@dataclass(frozen=True)
class Neg(Table):
    """Y = -X."""

    name: ClassVar[str] = "Neg"
    onnx_types: ClassVar[tuple[str, ...]] = ("Neg",)

    def function(self, x: Floats) -> Floats:
        """The opposite."""
        return -x


@dataclass(frozen=True)
class Round(Table):
    """Y = the integer nearest to X, the even one of two."""

    name: ClassVar[str] = "Round"
    onnx_types: ClassVar[tuple[str, ...]] = ("Round",)

    def function(self, x: Floats) -> Floats:
        """Half to even."""
        return np.rint(x)


@dataclass(frozen=True)
class Sign(Table):
    """Y = -1, 0 or 1."""

    name: ClassVar[str] = "Sign"
    onnx_types: ClassVar[tuple[str, ...]] = ("Sign",)

    def function(self, x: Floats) -> Floats:
        """The sign."""
        return np.sign(x)

"""The grid that a quantiser puts values on: its format as intarsia keeps it, and the raw values of a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...arithmetic.rounding import Rounding, round_real
from ...fixed_point import FixedPoint, Floats
from ...operator import Array
from ..rewriter import error

MOST_BITS = 16


@dataclass(frozen=True, eq=False)
class Grid:
    """Integers from `low` to `high`, rounded from value / scale + zero or, as ONNX does, from value / scale before.

    `scale` and `zero` broadcast against the tensor.
    """

    scale: Array
    zero: Array
    bits: int
    signed: bool
    narrow: bool = False
    rounding: Rounding = Rounding.HALF_EVEN
    zero_first: bool = False

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(1 << (self.bits - 1)) + self.narrow if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1 - self.narrow

    def raw(self, values: Floats) -> Floats:
        """Integers of real values, less their zero point."""
        if self.rounding is Rounding.SIGN:
            return round_real(values, self.rounding)
        scaled = (values.astype(np.float32) / self.scale.astype(np.float32)).astype(np.float64)
        before, after = (self.zero, 0) if self.zero_first else (0, self.zero)
        whole = round_real(scaled + before, self.rounding) + after
        return np.asarray(np.clip(whole, self.low, self.high) - self.zero)

    def format(self, node: NodeProto) -> FixedPoint:
        """The format of an activation: signed, whatever the model has.

        Raises:
            IntarsiaError: scale or zero point differ along the tensor, or are none that hardware has.
        """
        if self.scale.size != 1 or self.zero.size != 1:
            raise error(
                node,
                f"an activation has {max(self.scale.size, self.zero.size)} scales or zero points. Supported: one for the "
                "whole tensor (weights may have one for each output channel)",
            )
        scale, zero = float(self.scale.flat[0]), float(self.zero.flat[0])
        if not (np.isfinite(scale) and scale > 0):
            raise error(node, f"its scale is {scale}. Supported: finite numbers above 0")
        if not 1 <= self.bits <= MOST_BITS:
            raise error(node, f"it has {self.bits} bits. Supported: 1 to {MOST_BITS}")
        if zero != round(zero) or abs(zero) >= 1 << 16:
            raise error(node, f"its zero point is {zero}. Supported: whole numbers of up to 16 bits")
        if self.narrow and not self.signed:
            raise error(node, "it is unsigned and narrow. Supported: narrow ranges of signed integers")
        return FixedPoint.of_scale(
            self.bits, scale, int(zero) - self._shift, self._mode(node, int(zero)), self.narrow
        )

    @property
    def _shift(self) -> int:
        """What makes unsigned integers signed ones."""
        return 0 if self.signed else 1 << (self.bits - 1)

    def _mode(self, node: NodeProto, zero: int) -> Rounding:
        """How value / scale is rounded, before the zero point is added."""
        if not self.zero_first or zero == 0 or self.rounding in (Rounding.FLOOR, Rounding.CEIL):
            return self.rounding
        if self.rounding is Rounding.HALF_EVEN:
            return Rounding.HALF_ODD if zero % 2 else Rounding.HALF_EVEN
        raise error(
            node, f"it rounds by {self.rounding.name} with zero point {zero}. Supported: with zero point 0"
        )

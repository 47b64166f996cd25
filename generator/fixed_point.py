"""Fixed-point number formats: the one place where a real value becomes a raw integer.

A tensor is integers `raw` with one scale and one zero point: value = (raw - zero) * scale. The scale of a tensor that
intarsia quantises is a power of two, and its zero point 0; a model that comes quantised keeps its own. Integers are
rounded in arithmetic/rounding.py only, as arithmetic/requantisation.py asks for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .arithmetic.rounding import Floats, Integers, Rounding, round_real

__all__ = ["ChannelFormat", "FixedPoint", "Floats", "Integers", "ParameterFormat", "Rounding"]


@dataclass(frozen=True)
class FixedPoint:
    """An integer of `bits` bits, scaled by mantissa * 2**exponent.

    Attributes:
        bits: width.
        exponent: of the scale.
        signed: unsigned formats occur only before import makes them signed ones.
        mantissa: of the scale, 1 to 2; 1 for powers of two.
        zero: the raw integer that stands for 0.
        rounding: how a value between two steps becomes raw.
        narrow: the lowest integer is not used.
    """

    bits: int
    exponent: int
    signed: bool = True
    mantissa: float = 1.0
    zero: int = 0
    rounding: Rounding = Rounding.HALF_EVEN
    narrow: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError(f"bits must be 1 to 64, not {self.bits}")
        if not 1 <= self.mantissa < 2:
            raise ValueError(f"mantissa must be 1 to 2, not {self.mantissa}")

    @classmethod
    def of_scale(
        cls,
        bits: int,
        scale: float,
        zero: int = 0,
        rounding: Rounding = Rounding.HALF_EVEN,
        narrow: bool = False,
    ) -> Self:
        """The signed format of a positive scale."""
        half, exponent = math.frexp(scale)
        return cls(bits, exponent - 1, True, 2 * half, zero, rounding, narrow)

    @property
    def minimum(self) -> int:
        """Smallest raw integer."""
        return -(1 << (self.bits - 1)) + self.narrow if self.signed else int(self.narrow)

    @property
    def maximum(self) -> int:
        """Largest raw integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def magnitude(self) -> int:
        """Largest distance of a raw integer from that of 0."""
        return max(self.zero - self.minimum, self.maximum - self.zero)

    @property
    def scale(self) -> float:
        """Value of one step (LSB)."""
        return float(self.mantissa * 2.0**self.exponent)

    @property
    def scales(self) -> tuple[float, ...]:
        """The one scale; a `ChannelFormat` has several."""
        return (self.scale,)

    @property
    def exponents(self) -> tuple[int, ...]:
        """The one exponent; a `ChannelFormat` has several."""
        return (self.exponent,)

    def quantise(self, values: NDArray[np.floating]) -> Integers:
        """Round real values to raw integers, then saturate."""
        scaled = round_real(np.asarray(values, dtype=np.float64) / self.scale, self.rounding) + self.zero
        return np.clip(scaled, self.minimum, self.maximum).astype(np.int64)

    def dequantise(self, raw: Integers) -> Floats:
        """Real values of raw integers."""
        return (np.asarray(raw, dtype=np.float64) - self.zero) * self.scale

    def __str__(self) -> str:
        factor = "" if self.mantissa == 1 else f"{self.mantissa:.6g} * "
        zero = f", zero {self.zero}" if self.zero else ""
        return f"{'' if self.signed else 'u'}int{self.bits} * {factor}2^{self.exponent}{zero}"


@dataclass(frozen=True)
class ChannelFormat:
    """Signed integers of `bits` bits with a scale of their own for each index of the first axis.

    `mantissas` has one number, or one for each exponent.
    """

    bits: int
    exponents: tuple[int, ...]
    mantissas: tuple[float, ...] = field(default=(1.0,))

    @classmethod
    def of_scales(cls, bits: int, scales: NDArray[np.floating]) -> ChannelFormat | FixedPoint:
        """The format of positive scales; one for all channels where they agree."""
        halves, exponents = np.frexp(np.asarray(scales, dtype=np.float64))
        if len(np.unique(scales)) == 1:
            return FixedPoint.of_scale(bits, float(scales[0]))
        mantissas = (1.0,) if np.all(halves == 0.5) else tuple(float(2 * half) for half in halves)
        return cls(bits, tuple(int(exponent) - 1 for exponent in exponents), mantissas)

    @property
    def scales(self) -> tuple[float, ...]:
        """Value of one step of each channel."""
        return tuple(float(m * 2.0**e) for m, e in np.broadcast(self.mantissas, self.exponents))

    def channel(self, index: int) -> FixedPoint:
        """Format of one channel."""
        mantissa = self.mantissas[index] if len(self.mantissas) > 1 else self.mantissas[0]
        return FixedPoint(self.bits, self.exponents[index], mantissa=mantissa)

    def quantise(self, values: NDArray[np.floating]) -> Integers:
        """Round real values to raw integers: half to even, then saturate."""
        return np.stack([self.channel(index).quantise(row) for index, row in enumerate(values)])

    def dequantise(self, raw: Integers) -> Floats:
        """Real values of raw integers."""
        return np.stack([self.channel(index).dequantise(row) for index, row in enumerate(raw)])

    def __str__(self) -> str:
        return f"int{self.bits} * 2^{min(self.exponents)}..{max(self.exponents)}"


ParameterFormat = FixedPoint | ChannelFormat

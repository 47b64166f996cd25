"""Fixed-point number formats: the one place where a value is rounded.

A tensor is integers `raw` with one power-of-two scale: value = raw * 2**exponent. The only rounding of integers
in the whole system is `divide_half_even` (as requantisation.py asks for it); ONNX's QuantizeLinear rounds the same
way, and hls_kernels/requantise.hpp is its C++ twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FixedPoint:
    """A signed or unsigned integer of `bits` bits, scaled by 2**exponent."""

    bits: int
    exponent: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError(f"bits must be 1 to 64, not {self.bits}")

    @property
    def minimum(self) -> int:
        """Smallest raw integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest raw integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def scale(self) -> float:
        """Value of one step (LSB)."""
        return float(2.0**self.exponent)

    def quantise(self, values: NDArray[np.floating]) -> Integers:
        """Round real values to raw integers: half to even, then saturate."""
        scaled = np.rint(np.asarray(values, dtype=np.float64) / self.scale)
        return np.clip(scaled, self.minimum, self.maximum).astype(np.int64)

    def dequantise(self, raw: Integers) -> Floats:
        """Real values of raw integers."""
        return np.asarray(raw, dtype=np.float64) * self.scale

    @property
    def exponents(self) -> tuple[int, ...]:
        """The one exponent; a `ChannelFormat` has several."""
        return (self.exponent,)

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.bits} * 2^{self.exponent}"


@dataclass(frozen=True)
class ChannelFormat:
    """Signed integers of `bits` bits with an exponent of their own for each index of the first axis."""

    bits: int
    exponents: tuple[int, ...]

    def channel(self, index: int) -> FixedPoint:
        """Format of one channel."""
        return FixedPoint(self.bits, self.exponents[index])

    def quantise(self, values: NDArray[np.floating]) -> Integers:
        """Round real values to raw integers: half to even, then saturate."""
        return np.stack([self.channel(index).quantise(row) for index, row in enumerate(values)])

    def dequantise(self, raw: Integers) -> Floats:
        """Real values of raw integers."""
        return np.stack([self.channel(index).dequantise(row) for index, row in enumerate(raw)])

    def __str__(self) -> str:
        return f"int{self.bits} * 2^{min(self.exponents)}..{max(self.exponents)}"


ParameterFormat = FixedPoint | ChannelFormat


def divide_half_even(raw: Integers, divisor: int, shift: int | Integers) -> Integers:
    """raw / (divisor * 2**shift) for divisor > 0 and any sign of shift, rounded half to even, exactly.

    `shift` may be an array that broadcasts against `raw`. Valid while |raw| * 2**max(-shift, 0) and
    divisor * 2**max(shift, 0) stay below 2**62; range analysis (quantise/accumulators.py) refuses wider tasks.
    """
    right = np.maximum(shift, 0)
    numerator = np.asarray(raw, dtype=np.int64)
    if np.min(shift) < 0:
        numerator = numerator << np.maximum(-np.asarray(shift), 0)
    if divisor == 1:
        half = (np.int64(1) << right) >> 1
        odd = (numerator >> right) & 1
        result: Integers = (numerator + np.where(right > 0, half - 1 + odd, 0)) >> right
        return result
    denominator = np.int64(divisor) << right
    quotient = numerator // denominator
    twice = 2 * (numerator - quotient * denominator)
    rounded: Integers = quotient + ((twice > denominator) | ((twice == denominator) & (quotient % 2 == 1)))
    return rounded

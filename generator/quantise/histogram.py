"""Statistics of a tensor: a histogram on a power-of-two grid, from which squared errors follow exactly.

Kept samples would miss rare outliers, and outliers decide about clipping; a plain histogram blurs the rounding
error. Here every bin keeps the count, the sum and the sum of squares of its values, and its width is a power of
two, so that bin borders fall on the rounding borders of every power-of-two format whose step is at least two bins.
The squared error of such a format is then exact, in bounded memory, whatever the number of samples; and a range
that turns out too small is doubled by merging neighbouring bins, which is exact as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fixed_point import FixedPoint, Floats

_HALF = 1 << 12
"""Bins on either side of zero: exact for 8 bits down to a sixteenth of the full-range step."""
_INDICES = np.arange(-_HALF, _HALF)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Bin i (from -_HALF) holds the values from i to i + 1 times 2**exponent."""

    exponent: int
    counts: Floats
    sums: Floats
    squares: Floats
    minimum: float
    maximum: float

    @property
    def magnitude(self) -> float:
        """Largest absolute value."""
        return max(-self.minimum, self.maximum)

    def squared_error(self, number: FixedPoint) -> float:
        """Sum of (value - quantised value)**2.

        Exact if the format's step is at least two bins; below that, rounding counts as uniform noise of
        step**2 / 12, and only clipping is exact.
        """
        centres = (_INDICES + 0.5) * 2.0**self.exponent
        if number.scale >= 2.0 ** (self.exponent + 1):
            return float(self._errors(number.dequantise(number.quantise(centres))).sum())
        low, high = number.minimum * number.scale, number.maximum * number.scale
        clipped = self._errors(np.clip(centres, low, high))
        noise = np.minimum(self.counts * number.scale**2 / 12, self.squares)
        return float(np.where((centres < low) | (centres > high), clipped, noise).sum())

    def _errors(self, levels: Floats) -> Floats:
        return self.squares - 2 * levels * self.sums + levels**2 * self.counts

    def widened(self, exponent: int) -> Histogram:
        """The same values in wider bins."""
        if exponent == self.exponent:
            return self
        target = (_INDICES >> (exponent - self.exponent)) + _HALF
        counts, sums, squares = (
            np.bincount(target, column, 2 * _HALF).astype(np.float64)
            for column in (self.counts, self.sums, self.squares)
        )
        return Histogram(exponent, counts, sums, squares, self.minimum, self.maximum)


def histogram(values: NDArray[Any]) -> Histogram:
    """Statistics of finite values (at least one)."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    minimum, maximum = float(flat.min()), float(flat.max())
    largest = max(-minimum, maximum)
    exponent = (math.frexp(largest)[1] if largest else -64) - int(math.log2(_HALF))
    index = np.floor(flat / 2.0**exponent).astype(np.int64) + _HALF
    counts, sums, squares = (
        np.bincount(index, weights, 2 * _HALF).astype(np.float64) for weights in (None, flat, flat * flat)
    )
    return Histogram(exponent, counts, sums, squares, minimum, maximum)


def merge(left: Histogram, right: Histogram) -> Histogram:
    """Statistics of both sets of values together."""
    exponent = max(left.exponent, right.exponent)
    left, right = left.widened(exponent), right.widened(exponent)
    return Histogram(
        exponent,
        left.counts + right.counts,
        left.sums + right.sums,
        left.squares + right.squares,
        min(left.minimum, right.minimum),
        max(left.maximum, right.maximum),
    )

"""The choice of a power-of-two scale: least squared error among the full range and a few finer ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..fixed_point import FixedPoint
from ..operator import Array

_FINER = 4
"""Exponents tried below the one that clips nothing; 4 bits want 2, and the error only grows further down."""
_LIMIT = 48
"""Largest |exponent|: products of two operands then stay normal float32 numbers in the QDQ model."""


def choose_format(magnitude: float, bits: int, squared_error: Callable[[FixedPoint], float]) -> FixedPoint:
    """Signed format of least squared error; the coarser one of equals, as it clips less of unseen values.

    Args:
        magnitude: largest absolute value; 0 is treated as 1, so that zeros have an ordinary format.
        bits: width.
        squared_error: sum of squared errors of the values in a format.
    """
    widest = full_range_exponent(magnitude or 1.0, bits)
    candidates = [FixedPoint(bits, _limited(exponent)) for exponent in range(widest, widest - _FINER - 1, -1)]
    return min(candidates, key=squared_error)


def choose_weight_format(values: Array, bits: int) -> FixedPoint:
    """Signed format of least squared error for constants."""
    reals = np.asarray(values, dtype=np.float64)

    def squared_error(number: FixedPoint) -> float:
        return float(np.square(number.dequantise(number.quantise(reals)) - reals).sum())

    return choose_format(float(np.abs(reals).max(initial=0.0)), bits, squared_error)


def full_range_exponent(magnitude: float, bits: int) -> int:
    """Smallest exponent whose largest raw value reaches the magnitude: ceil(log2(magnitude / qmax))."""
    mantissa, exponent = math.frexp(magnitude / FixedPoint(bits, 0).maximum)
    return exponent - 1 if mantissa == 0.5 else exponent


def _limited(exponent: int) -> int:
    return max(-_LIMIT, min(_LIMIT, exponent))

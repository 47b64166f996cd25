"""Rounding modes, and the only rounding of integers in the whole system.

Hardware rounds in the same way (hls_kernels/requantise.hpp).
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Rounding(Enum):
    """How a real value becomes an integer; the values are those of hls_kernels/requantise.hpp.

    HALF_EVEN is ONNX's, and the only one of models that intarsia quantises itself. The others come with QONNX models
    (CEIL, FLOOR, UP, DOWN, HALF_UP and HALF_DOWN under these names). HALF_ODD is half to even of a value to which an odd
    zero point was added before. SIGN is BipolarQuant: -1 below zero, else 1.
    """

    HALF_EVEN = 0
    HALF_ODD = 1
    FLOOR = 2
    CEIL = 3
    DOWN = 4
    """Towards zero."""
    UP = 5
    """Away from zero."""
    HALF_DOWN = 6
    """To the nearest; half towards zero."""
    HALF_UP = 7
    """To the nearest; half away from zero."""
    SIGN = 8


TO_NEAREST = (Rounding.HALF_EVEN, Rounding.HALF_ODD, Rounding.HALF_DOWN, Rounding.HALF_UP)
"""Modes that differ in ties only, which do not matter where a result is allowed to be one LSB off."""


def divide(
    raw: Integers, divisor: int, shift: int | Integers, rounding: Rounding = Rounding.HALF_EVEN
) -> Integers:
    """raw / (divisor * 2**shift) for divisor > 0 and any sign of shift, rounded exactly.

    `shift` may be an array that broadcasts against `raw`. Valid while |raw| * 2**max(-shift, 0) and
    divisor * 2**max(shift, 0) stay below 2**62; range analysis (quantise/accumulators.py) refuses wider tasks.
    """
    right = np.maximum(shift, 0)
    numerator = np.asarray(raw, dtype=np.int64)
    if np.min(shift) < 0:
        numerator = numerator << np.maximum(-np.asarray(shift), 0)
    if rounding is Rounding.SIGN:
        return np.where(numerator < 0, np.int64(-1), np.int64(1))
    if divisor == 1 and rounding is Rounding.HALF_EVEN:
        half = (np.int64(1) << right) >> 1
        odd = (numerator >> right) & 1
        result: Integers = (numerator + np.where(right > 0, half - 1 + odd, 0)) >> right
        return result
    denominator = np.int64(divisor) << right
    floor = numerator // denominator
    rest = numerator - floor * denominator
    rounded: Integers = floor + _goes_up(floor, 2 * rest, denominator, rounding)
    return rounded


def round_real(values: Floats, rounding: Rounding) -> Floats:
    """Real values as whole numbers."""
    if rounding is Rounding.HALF_EVEN:
        return np.asarray(np.rint(values))
    if rounding is Rounding.SIGN:
        return np.where(values < 0, -1.0, 1.0)
    floor = np.floor(values)
    up = _goes_up(floor, 2 * (values - floor), 1, rounding)
    return np.asarray(floor + up)


def _goes_up(floor: NDArray, twice: NDArray, whole: int | Integers, rounding: Rounding) -> NDArray[np.bool_]:  # type: ignore[type-arg]
    """True where the result is above the floor; `twice` is twice the distance from it, in units of 1 / whole."""
    above, tie = twice > whole, twice == whole
    match rounding:
        case Rounding.FLOOR:
            up = np.zeros(np.shape(floor), bool)
        case Rounding.CEIL:
            up = twice > 0
        case Rounding.DOWN:
            up = (twice > 0) & (floor < 0)
        case Rounding.UP:
            up = (twice > 0) & (floor >= 0)
        case Rounding.HALF_DOWN:
            up = above | (tie & (floor < 0))
        case Rounding.HALF_UP:
            up = above | (tie & (floor >= 0))
        case Rounding.HALF_ODD:
            up = above | (tie & (floor % 2 == 0))
        case _:
            up = above | (tie & (floor % 2 == 1))
    return np.asarray(up)

"""The choice of a power-of-two scale: least squared error among the full range and a few finer ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..fixed_point import FixedPoint, Integers
from ..operator import Array
from .histogram import Histogram

_FINER = 4
"""Exponents tried below the one that clips nothing; 4 bits want 2, and the error only grows further down."""
_LIMIT = 48
"""Largest |exponent|: products of two operands then stay normal float32 numbers in the QDQ model."""

_HEADROOM_BITS = 10
"""From this width on, activations keep headroom instead of clipping."""
_HEADROOM = 1.25
"""Unseen samples may be so much larger than the calibration samples. Measured on three LeNets, 100 images for
calibration and 200 others: against least squared error, the SQNR of the output goes from 40 and 44 to 80 dB at 16
bits where unseen images would saturate, and loses at most 3 dB where they do not; at 8 bits the lost bit costs more
than the saturation."""


def choose_activation_format(found: Histogram, bits: int) -> FixedPoint:
    """Signed format for a tensor of which only samples are known.

    Least squared error up to 9 bits. A wider step is so fine that what the calibration samples do not show
    dominates: the full range and headroom.
    """
    if bits < _HEADROOM_BITS:
        return choose_format(found.magnitude, bits, found.squared_error)
    return FixedPoint(bits, _limited(full_range_exponent(_HEADROOM * (found.magnitude or 1.0), bits)))


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


def choose_constant_format(values: Array, bits: int, step: float | None = None) -> FixedPoint:
    """Signed format for a constant tensor: the coarsest that holds every value exactly, else that of least squared error.

    Args:
        values: all of them.
        bits: width.
        step: of which the model itself makes them multiples; kept if they fit the width, with a zero point if need be.
    """
    reals = np.asarray(values, dtype=np.float64)
    if step is not None:
        low, high = (int(bound) for bound in np.rint(np.array([reals.min(), reals.max()]) / step))
        half = 1 << (bits - 1)
        if high - low < 2 * half:
            return FixedPoint.of_scale(bits, step, 0 if -half <= low and high < half else -half - low)
    mantissas, exponents = np.frexp(reals[reals != 0])
    whole = np.ldexp(mantissas, 53).astype(np.int64)  # each value is whole * 2**(exponent - 53)
    twos = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    exact = FixedPoint(bits, _limited(int((exponents - 53 + twos).min(initial=_LIMIT))) if len(whole) else 0)
    if np.array_equal(exact.dequantise(exact.quantise(reals)), reals):
        return exact
    return choose_weight_format(reals, bits)


def channel_exponents(values: Array, bits: int) -> Integers:
    """Exponents of the signed formats of least squared error for each index of a constant's first axis.

    No step is finer than the coarsest by more than `bits` bits: the weights of such a channel are all below one step
    of the coarsest one, and so, roughly, is what they add to an output whose scale the channels share. Finer steps
    would only make accumulators and shifts wider. Channels of zeros have the coarsest step.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    used = {index: choose_weight_format(row, bits).exponent for index, row in enumerate(flat) if row.any()}
    coarsest = max(used.values(), default=choose_weight_format(flat, bits).exponent)
    return np.array([max(used.get(index, coarsest), coarsest - bits) for index in range(len(flat))])


def full_range_exponent(magnitude: float, bits: int) -> int:
    """Smallest exponent whose largest raw value reaches the magnitude: ceil(log2(magnitude / qmax))."""
    mantissa, exponent = math.frexp(magnitude / FixedPoint(bits, 0).maximum)
    return exponent - 1 if mantissa == 0.5 else exponent


def _limited(exponent: int) -> int:
    return max(-_LIMIT, min(_LIMIT, exponent))

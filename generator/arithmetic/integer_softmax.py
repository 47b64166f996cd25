"""Softmax and LogSoftmax of integers: the algorithm of hls_kernels/softmax.hpp, and the numbers that it works with.

For a row of raw inputs x of unit 2**e, with d = max(x) - x:

    exponential(d) = fine[d % 256] * coarse[d // 256]       e to the power of -d * 2**e, `fraction` fractional bits
    S = sum of the exponentials                             at least 1, that of the maximum
    Softmax:    y = exponential(d) * round(2**scale / S)
    LogSoftmax: y = -d * 2**e - log(S)                      the logarithm by a table and linear interpolation

and one rounding to the output. For inputs of up to 8 bits `coarse` is 1, and the hardware has no multiplier for it. Bounds on
the error are in docs/numbers.md, and are measured in tests/test_rows_numbers.py.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from ..fixed_point import FixedPoint, Integers
from .leading_one import leading_one
from .rounding import TO_NEAREST, divide

FINE_BITS = 8
"""Low bits of a difference, which address the fine table."""
MOST_FRACTION = 28
"""Rows of 4096 elements then still fit."""
LOG_INDEX_BITS = 8
"""The logarithm's table has 2**8 pieces, and a line through each: wrong by 2**-19 at most."""
LOG_REST_BITS = 16
LOG_FRACTION = 26
"""Fractional bits of the logarithm."""
_WIDEST = 61


@dataclass(frozen=True)
class SoftmaxNumbers:
    """What the hardware needs to know of one task, beside its tables.

    Attributes:
        channels: elements of a row.
        fraction: fractional bits of exponentials.
        numerator: Softmax: what the sum divides: 2**scale, less the mantissa of the output's scale.
        scale: Softmax: exponent of the numerator.
        left_difference: LogSoftmax: left shift of a difference to the unit of the result before rounding.
        left_logarithm: LogSoftmax: likewise of the logarithm.
        shift: right shift of that result to the output.
        zero: of the output's format.
        low: clamp, in raw outputs.
        high: likewise.
    """

    channels: int
    fraction: int
    numerator: int
    scale: int
    left_difference: int
    left_logarithm: int
    shift: int
    zero: int
    low: int
    high: int

    @property
    def sum_bits(self) -> int:
        """Bits of the largest sum of exponentials."""
        return (self.channels << self.fraction).bit_length()

    def as_array(self) -> Integers:
        """All numbers, to be kept with the task."""
        return np.array(astuple(self), dtype=np.int64)

    @staticmethod
    def of_array(values: Integers) -> SoftmaxNumbers:
        """The inverse of `as_array`."""
        return SoftmaxNumbers(*(int(value) for value in values))


def softmax_numbers(
    source: FixedPoint, output: FixedPoint, channels: int, clamp: tuple[int, int], log: bool
) -> SoftmaxNumbers:
    """The numbers of a task.

    Raises:
        ValueError: no integers of 62 bits hold them; the text says what is out of bounds.
    """
    if output.rounding not in TO_NEAREST or (log and not source.mantissa == output.mantissa == 1):
        raise ValueError(
            f"{source} to {output}, rounded {output.rounding.name}, is not supported: scales "
            f"{'that are powers of two' if log else 'of any size'}, and rounding to the nearest"
        )
    row_bits = channels.bit_length()
    fraction = min(output.bits + 3 + row_bits, MOST_FRACTION)
    scale = fraction + row_bits + output.bits + 3
    left_difference = left_logarithm = 0
    if log:
        unit = min(source.exponent, -LOG_FRACTION, output.exponent)
        left_difference, left_logarithm = source.exponent - unit, -LOG_FRACTION - unit
        shift = output.exponent - unit
        widest = max(source.bits + left_difference, LOG_FRACTION + 6 + left_logarithm) + 1
    else:
        shift = scale + output.exponent
        widest = max(scale + 1, fraction + row_bits + 2, shift + 1)
    if widest > _WIDEST or not 0 <= shift < _WIDEST:
        raise ValueError(
            f"rows of {channels} elements from {source} to {output} would need integers of "
            f"{max(widest, shift)} bits and a right shift of {shift} bits; {_WIDEST} are allowed, none to the left"
        )
    return SoftmaxNumbers(
        channels,
        fraction,
        round(2**scale / output.mantissa),
        scale,
        left_difference,
        left_logarithm,
        shift,
        output.zero,
        *clamp,
    )


def exponential_tables(source: FixedPoint, fraction: int, scale: float = 1.0) -> tuple[Integers, Integers]:
    """Fine and coarse table: entry i is exp(-i * scale * 2**e), and exp(-i * scale * 2**(8 + e))."""

    def table(entries: int, step: float) -> Integers:
        values: Integers = np.rint(np.exp(-np.arange(entries) * step) * 2.0**fraction).astype(np.int64)
        return values

    step = source.scale * scale
    fine = table(1 << min(source.bits, FINE_BITS), step)
    return fine, table(1 << max(source.bits - FINE_BITS, 0), step * (1 << FINE_BITS))


def log_table() -> Integers:
    """log(1 + i / 256) for i = 0 to 256, with `LOG_FRACTION` fractional bits."""
    entries = 1 << LOG_INDEX_BITS
    values: Integers = np.rint(np.log1p(np.arange(entries + 1) / entries) * 2.0**LOG_FRACTION).astype(
        np.int64
    )
    return values


LOG_OF_2 = round(float(np.log(2.0)) * 2**LOG_FRACTION)


def softmax_of_rows(
    rows: Integers, limits: Integers, fine: Integers, coarse: Integers, numbers: SoftmaxNumbers, log: bool
) -> Integers:
    """Raw outputs for raw rows.

    Args:
        rows: (rows, elements).
        limits: (rows,): so many elements count, at least one; the others give the raw integer of 0.
        fine: table of exponentials.
        coarse: likewise.
        numbers: of the task.
        log: whether it is LogSoftmax.
    """
    counts = np.arange(rows.shape[1]) < limits[:, np.newaxis]
    largest = np.where(counts, rows, rows.min(initial=0)).max(axis=1, keepdims=True)
    difference = np.where(counts, largest - rows, 0)
    exponentials = fine[difference & (len(fine) - 1)]
    if len(coarse) > 1:
        products = exponentials * coarse[difference >> FINE_BITS]
        exponentials = (products + (1 << (numbers.fraction - 1))) >> numbers.fraction
    exponentials = np.where(counts, exponentials, 0)
    sums = exponentials.sum(axis=1, keepdims=True)
    if log:
        logarithm = _logarithm(sums, numbers.fraction) << numbers.left_logarithm
        exact = -(difference << numbers.left_difference) - logarithm
    else:
        exact = exponentials * ((numbers.numerator + (sums >> 1)) // sums)
    result: Integers = np.clip(divide(exact, 1, numbers.shift) + numbers.zero, numbers.low, numbers.high)
    return result


def _logarithm(sums: Integers, fraction: int) -> Integers:
    """log(sums / 2**fraction): powers of two, a table of pieces, and a line through each piece."""
    places = LOG_INDEX_BITS + LOG_REST_BITS
    power = leading_one(sums)
    mantissa = np.where(
        power <= places, sums << np.maximum(places - power, 0), sums >> np.maximum(power - places, 0)
    ) - (1 << places)
    index, rest = mantissa >> LOG_REST_BITS, mantissa & ((1 << LOG_REST_BITS) - 1)
    table = log_table()
    line = ((table[index + 1] - table[index]) * rest) >> LOG_REST_BITS
    result: Integers = (power - fraction) * LOG_OF_2 + table[index] + line
    return result

"""Layer normalisation of integers: the algorithm of hls_kernels/norm.hpp, and the numbers that it works with.

For a row of n raw inputs x, with S1 = sum(x) (0 for the root mean square), S2 = sum(x**2) and eps in raw units:

    z = (x - S1 / n) / sqrt(S2 / n - (S1 / n)**2 + eps) = (n * x - S1) / sqrt(n * S2 - S1**2 + n**2 * eps)

The radicand is an exact integer with `guard` fractional bits for eps. It is shifted by an even number of bits so that its leading
one is in one of two places; the integer root has `root_bits` bits and its reciprocal one more, whatever the variance. Then
z * gamma + beta, and one rounding to the output. A row without variance gives beta.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, replace
from math import isqrt

import numpy as np

from ..fixed_point import FixedPoint, Integers
from .leading_one import leading_one
from .rounding import TO_NEAREST, divide

GAMMA_BITS = 16
BETA_BITS = 24
"""Exact in float32, as ONNX Runtime sees it."""
_ROOT_GUARD = 4
"""Bits of the root beyond those of the output."""
_WIDEST = 61


@dataclass(frozen=True)
class NormNumbers:
    """What the hardware needs to know of one task, beside gamma and beta.

    Attributes:
        channels: n.
        centre: whether the mean is taken off: LayerNormalization; or not: RMSNormalization.
        guard: fractional bits of the radicand, even.
        epsilon: n**2 * eps, in the unit of the radicand.
        root_bits: of the integer root.
        z_fraction: fractional bits of z.
        beta_shift: left shift of a raw beta to the unit of z * gamma.
        shift: right shift from there to the output.
        zero: of the output's format.
        low: clamp, in raw outputs.
        high: likewise.
        magnitude: largest |x| of the input's format.
        result_bits: of the largest |z * gamma + beta|.
    """

    channels: int
    centre: bool
    guard: int
    epsilon: int
    root_bits: int
    z_fraction: int
    beta_shift: int
    shift: int
    zero: int
    low: int
    high: int
    magnitude: int
    result_bits: int

    @property
    def z_bits(self) -> int:
        """Bits of the largest |z|, which is less than sqrt(n)."""
        return ((isqrt(self.channels) + 2) << self.z_fraction).bit_length()

    @property
    def radicand_bits(self) -> int:
        """Bits of the largest radicand."""
        return (((self.channels * self.magnitude) ** 2 << self.guard) + self.epsilon).bit_length()

    @property
    def product_bits(self) -> int:
        """Bits of the largest |n * x - S1| times a reciprocal, and of half a step of its shift."""
        product = (2 * self.channels * self.magnitude).bit_length() + self.root_bits + 1
        return max(product, self.shift_of(self.radicand_bits)) + 1

    def shift_of(self, place: int) -> int:
        """Right shift of a product to z where the radicand's leading one is in this place."""
        return self.base_shift - ((2 * self.root_bits - 1 - place) >> 1)

    @property
    def base_shift(self) -> int:
        """Right shift of a product to z, less half the left shift of the radicand."""
        return 2 * self.root_bits - self.guard // 2 - self.z_fraction

    def as_array(self) -> Integers:
        """All numbers, to be kept with the task."""
        return np.array(astuple(self), dtype=np.int64)

    @staticmethod
    def of_array(values: Integers) -> NormNumbers:
        """The inverse of `as_array`."""
        channels, centre, *others = (int(value) for value in values)
        return NormNumbers(channels, bool(centre), *others)


def norm_numbers(
    source: FixedPoint,
    output: FixedPoint,
    gamma: tuple[FixedPoint, Integers],
    beta: tuple[FixedPoint, Integers],
    epsilon: float,
    centre: bool,
    clamp: tuple[int, int],
) -> NormNumbers:
    """The numbers of a task.

    Args:
        source: format of the input.
        output: format of the output.
        gamma: format, whose mantissa is the output's, and raw values.
        beta: likewise; its step is at least that of z * gamma.
        epsilon: the attribute, in real units.
        centre: whether the mean is taken off.
        clamp: in raw outputs.

    Raises:
        ValueError: no integers of 62 bits hold them; the text says what is out of bounds.
    """
    channels = len(gamma[1])
    if output.rounding not in TO_NEAREST or (source.zero and not centre):
        raise ValueError(
            f"{source} to {output}, rounded {output.rounding.name}, is not supported: rounding to the nearest, and a zero "
            "point of 0 where the mean is not taken off"
        )
    guard, least = _radicand(source, output, channels, epsilon)
    fraction = z_fraction(source, output, gamma, epsilon)
    unit = gamma[0].exponent - fraction
    numbers = NormNumbers(
        channels=channels,
        centre=centre,
        guard=guard,
        epsilon=least,
        root_bits=output.bits + _ROOT_GUARD,
        z_fraction=fraction,
        beta_shift=beta[0].exponent - unit,
        shift=output.exponent - unit,
        zero=output.zero,
        low=clamp[0],
        high=clamp[1],
        magnitude=-source.minimum,
        result_bits=0,
    )
    summand = int(np.abs(beta[1]).max(initial=0)) << numbers.beta_shift
    result = (int(np.abs(gamma[1]).max(initial=0)) << numbers.z_bits) + summand
    widest = max(
        numbers.radicand_bits,
        numbers.product_bits,
        max(result.bit_length(), numbers.shift) + 1,
        2 * numbers.root_bits,
    )
    if widest > _WIDEST or numbers.shift < 0:
        raise ValueError(
            f"rows of {channels} elements from {source} to {output}, with an epsilon of {epsilon:g}, would need integers "
            f"of {widest} bits and a right shift of {numbers.shift} bits; {_WIDEST} are allowed, none to the left"
        )
    return replace(numbers, result_bits=result.bit_length())


def z_fraction(
    source: FixedPoint, output: FixedPoint, gamma: tuple[FixedPoint, Integers], epsilon: float
) -> int:
    """Fractional bits of z: gamma times half its step is 1/32 of the output's, but no shift of a product is to the left.

    They suffice: either epsilon is small, and every row that is not constant has a |z| of 1 or more, which the output's range
    covers; or it is not, and then the radicand has a larger least value.
    """
    channels = len(gamma[1])
    guard, least = _radicand(source, output, channels, epsilon)
    bits = output.bits + _ROOT_GUARD
    place = ((max(channels - 1, 1) << guard) + least).bit_length() - 1
    most = 2 * bits - guard // 2 - ((2 * bits - 1 - place) >> 1)
    size = int(np.abs(gamma[1]).max(initial=0)).bit_length() + gamma[0].exponent
    return max(0, min(most, size - output.exponent + _ROOT_GUARD))


def _radicand(source: FixedPoint, output: FixedPoint, channels: int, epsilon: float) -> tuple[int, int]:
    """Fractional bits of the radicand, and n**2 * eps with as many."""
    variance_bits = ((channels * -source.minimum) ** 2).bit_length()
    raw_epsilon = channels**2 * epsilon / source.scale**2
    least = channels - 1 + raw_epsilon  # of rows that are not constant
    wanted = output.bits + _ROOT_GUARD - math.frexp(least)[1] + 1
    guard = max(0, min(wanted + wanted % 2, (_WIDEST - 1 - variance_bits) // 2 * 2))
    return guard, round(raw_epsilon * 2.0**guard)


def norm_of_rows(rows: Integers, gamma: Integers, beta: Integers, numbers: NormNumbers) -> Integers:
    """Raw outputs for raw rows (rows, n); gamma and beta are (n,)."""
    n, bits = numbers.channels, numbers.root_bits
    total = rows.sum(axis=1, keepdims=True) * int(numbers.centre)
    spread = n * np.square(rows).sum(axis=1, keepdims=True) - total * total
    radicand = np.where(spread > 0, (spread << numbers.guard) + numbers.epsilon, 1)
    place = leading_one(radicand)
    half = (2 * bits - 1 - place) >> 1
    scaled = np.where(half >= 0, radicand << 2 * np.maximum(half, 0), radicand >> 2 * np.maximum(-half, 0))
    root = _integer_root(scaled)
    inverse = ((1 << 2 * bits) + (root >> 1)) // root
    shift = np.where(spread > 0, numbers.base_shift - half, 0)
    z = np.where(spread > 0, divide((n * rows - total) * inverse, 1, shift), 0)
    exact = z * gamma + (beta << numbers.beta_shift)
    result: Integers = np.clip(divide(exact, 1, numbers.shift) + numbers.zero, numbers.low, numbers.high)
    return result


def _integer_root(values: Integers) -> Integers:
    """floor(sqrt(values)), of numbers below 2**52: float64 is wrong by one at most."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root

"""How close, rather than whether equal: SQNR, cosine, saturation.

Sums are taken per sample in float64 and added up as exact fractions, so that merging is exact: a report does not
depend on the batch size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from intarsia.fixed_point import FixedPoint

from .runner import Array

LIMIT_DB = 200.0
"""SQNR is clipped to +-200 dB; 200 means no noise at all."""
_ZERO = Fraction(0)


@dataclass(frozen=True)
class Fidelity:
    """Energies of a reference, of its image, of their difference, and their inner product."""

    signal: Fraction = _ZERO
    noise: Fraction = _ZERO
    image: Fraction = _ZERO
    product: Fraction = _ZERO
    elements: int = 0
    not_finite: int = 0
    """Elements left out because one of the values is NaN or infinite."""

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation-noise ratio in dB, within +-LIMIT_DB."""
        if self.noise == 0:
            return LIMIT_DB
        if self.signal == 0:
            return -LIMIT_DB
        return max(-LIMIT_DB, min(LIMIT_DB, 10 * (math.log10(self.signal) - math.log10(self.noise))))

    @property
    def cosine(self) -> float:
        """Cosine of the angle between both; 1 for two zeros, 0 if only one is zero."""
        if self.signal == 0 or self.image == 0:
            return 1.0 if self.signal == self.image else 0.0
        square = float(self.product**2 / (self.signal * self.image))
        return math.copysign(min(1.0, math.sqrt(square)), self.product)

    def merge(self, other: Fidelity) -> Fidelity:
        """The fidelity over both sets of samples."""
        return Fidelity(
            self.signal + other.signal,
            self.noise + other.noise,
            self.image + other.image,
            self.product + other.product,
            self.elements + other.elements,
            self.not_finite + other.not_finite,
        )


def fidelity(reference: Array, image: Array) -> Fidelity:
    """Energies of real arrays of shape (samples, ...)."""
    samples = reference.shape[0]
    size = math.prod(reference.shape[1:])
    real = np.asarray(reference, np.float64).reshape(samples, size)
    other = np.asarray(image, np.float64).reshape(samples, size)
    finite = np.isfinite(real) & np.isfinite(other)
    missing = finite.size - int(np.count_nonzero(finite))
    if missing:
        real, other = np.where(finite, real, 0.0), np.where(finite, other, 0.0)
    noise = other - real
    return Fidelity(
        _exact_sum((real * real).sum(axis=1)),
        _exact_sum((noise * noise).sum(axis=1)),
        _exact_sum((other * other).sum(axis=1)),
        _exact_sum((real * other).sum(axis=1)),
        finite.size,
        missing,
    )


def _exact_sum(values: Iterable[float]) -> Fraction:
    return sum((Fraction(float(value)) for value in values), _ZERO)


@dataclass(frozen=True)
class Saturation:
    """Elements at the lower and the upper rail of their number format."""

    elements: int = 0
    low: int = 0
    high: int = 0

    @property
    def percent(self) -> float:
        """Share of elements at a rail."""
        return 100 * (self.low + self.high) / self.elements if self.elements else 0.0

    def merge(self, other: Saturation) -> Saturation:
        """The counts over both sets of elements."""
        return Saturation(self.elements + other.elements, self.low + other.low, self.high + other.high)


def saturation(raw: Array, number: FixedPoint) -> Saturation:
    """Count elements at the rails. Zero, the lower rail of an unsigned format, is no saturation."""
    low = int(np.count_nonzero(raw == number.minimum)) if number.minimum < 0 else 0
    return Saturation(raw.size, low, int(np.count_nonzero(raw == number.maximum)))

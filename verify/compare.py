"""Comparison of two traces of one tensor, element by element and without tolerance.

A `Comparison` holds integers only, so that `merge` is exact and associative: the result does not depend on how the
samples were split into batches, and memory does not grow with their number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .runner import Array

OCTAVES = 8
BUCKETS = tuple(range(-OCTAVES, OCTAVES + 1))
"""Histogram buckets: 0 is equality, +-n holds differences of 2**(n-1) to 2**n - 1 LSB; the last ones are open."""


@dataclass(frozen=True)
class Difference:
    """One element that differs. `index` is within the tensor's shape, batch axis included."""

    sample: int
    index: tuple[int, ...]
    expected: int
    got: int

    @property
    def lsb(self) -> int:
        """Signed difference."""
        return self.got - self.expected

    @property
    def position(self) -> tuple[int, ...]:
        """Order of elements: by sample, then in memory order."""
        return (self.sample, *self.index)


@dataclass(frozen=True)
class Comparison:
    """What is known of the elements compared so far. `Comparison()` is the neutral element of `merge`.

    `problem` says why elements could not be compared one by one (wrong shape or type); all of them then count
    as mismatches.
    """

    elements: int = 0
    mismatches: int = 0
    max_lsb: int = 0
    sum_lsb: int = 0
    first: Difference | None = None
    worst: Difference | None = None
    histogram: tuple[int, ...] = field(default=(0,) * len(BUCKETS))
    problem: str = ""

    @property
    def equal(self) -> bool:
        """True if no element differs."""
        return self.mismatches == 0

    @property
    def similarity(self) -> float:
        """Matching elements in percent: exactly 100 only if all match."""
        return 100 * (self.elements - self.mismatches) / self.elements if self.elements else 0.0

    @property
    def mean_lsb(self) -> float:
        """Bias: the mean signed difference. Truncation instead of rounding shows as about -0.5."""
        return self.sum_lsb / self.elements if self.elements else 0.0

    def merge(self, other: Comparison) -> Comparison:
        """The comparison of both sets of elements."""
        firsts = [difference for difference in (self.first, other.first) if difference]
        worsts = [difference for difference in (self.worst, other.worst) if difference]
        return Comparison(
            self.elements + other.elements,
            self.mismatches + other.mismatches,
            max(self.max_lsb, other.max_lsb),
            self.sum_lsb + other.sum_lsb,
            min(firsts, key=lambda difference: difference.position, default=None),
            min(worsts, key=lambda difference: (-abs(difference.lsb), difference.position), default=None),
            tuple(mine + theirs for mine, theirs in zip(self.histogram, other.histogram, strict=True)),
            min(filter(None, (self.problem, other.problem)), default=""),
        )


def compare(
    expected: Array, got: Array, first_sample: int = 0, only: NDArray[np.bool_] | None = None
) -> Comparison:
    """Compare raw integers of shape (samples, *tensor shape).

    Args:
        expected: the reference world's tensor.
        got: the tensor of the world under test.
        first_sample: number of the first sample, for the indices in the result.
        only: if given, elements where it is false count as equal.
    """
    if problem := malformed(got, expected.shape):
        return Comparison(expected.size, expected.size, problem=problem)
    if np.array_equal(expected, got):
        return Comparison(expected.size, histogram=_histogram(np.zeros(0, np.int64), expected.size))
    delta = got.astype(np.int64) - expected
    if only is not None:
        delta = np.where(only, delta, 0)
    wrong = np.flatnonzero(delta)
    if not wrong.size:
        return Comparison(expected.size, histogram=_histogram(np.zeros(0, np.int64), expected.size))

    def difference(flat: int) -> Difference:
        sample, *index = (int(axis) for axis in np.unravel_index(flat, delta.shape))
        return Difference(
            first_sample + sample, tuple(index), int(expected.reshape(-1)[flat]), int(got.reshape(-1)[flat])
        )

    distances = delta.reshape(-1)[wrong]
    worst = int(np.argmax(np.abs(distances)))
    return Comparison(
        elements=expected.size,
        mismatches=wrong.size,
        max_lsb=abs(int(distances[worst])),
        sum_lsb=int(distances.sum()),
        first=difference(int(wrong[0])),
        worst=difference(int(wrong[worst])),
        histogram=_histogram(distances, expected.size - wrong.size),
    )


def malformed(got: Array, shape: tuple[int, ...]) -> str:
    """Why an array cannot be compared with integers of this shape; empty if it can."""
    if got.shape != shape:
        return f"shape per sample is {got.shape[1:]}, not {shape[1:]} (arrays {got.shape} and {shape})"
    return "" if got.dtype.kind in "iu" else f"type is {got.dtype}, not an integer"


def _histogram(distances: NDArray[np.int64], equal: int) -> tuple[int, ...]:
    """Counts per bucket of the non-zero distances, and of the equal elements."""
    octave = np.frexp(np.minimum(np.abs(distances), 1 << OCTAVES).astype(np.float64))[1]
    bucket = np.sign(distances) * np.minimum(octave, OCTAVES) + OCTAVES
    counts = np.bincount(bucket, minlength=len(BUCKETS))
    counts[OCTAVES] += equal
    return tuple(int(count) for count in counts)

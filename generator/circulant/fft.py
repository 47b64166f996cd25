"""Circulant blocks in the frequency domain, in fixed point: the golden of hls_kernels/circulant_fft.hpp.

A block times x is IFFT(FFT(column) * FFT(x)). The half spectrum of K real numbers is packed into K real numbers: bin 0, bin
K/2, then real and imaginary parts of the bins between. Transforms are real split-radix ones without scaling: numbers grow
by log2(K) bits, and carry guard bits, because products with twiddle factors are rounded half up.

The same flow graph runs on integers (the golden) and on `Bound` (range and error analysis), so that what is said of it is
true of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Self, TypeVar

import numpy as np

from ..arithmetic.exact import matmul
from ..fixed_point import Integers

LARGEST = 64
TWIDDLE_BITS = 14
EXACT_UP_TO = 4
"""Blocks up to this size have twiddle factors 1, -1, i and -i only: nothing is rounded."""
GUARD = 4
"""Fraction bits for inputs of up to 8 bits."""
WIDE_GUARD = 1
"""For wider ones, whose own last bit is as small as these fractions, and whose sums must fit 62 bits."""


@dataclass(frozen=True)
class Precision:
    """Fraction bits: of inputs, of the spectra of columns, and of the sums on their way back."""

    inputs: int
    weights: int
    kept: int

    @classmethod
    def of(cls, block: int, guard: int = GUARD) -> Self:
        """None where nothing is rounded; else `guard` bits everywhere, of which a narrow guard spares the weights."""
        if block <= EXACT_UP_TO:
            return cls(0, 0, 0)
        return cls(guard, guard if guard > WIDE_GUARD else 0, guard if guard > WIDE_GUARD else 0)

    @property
    def dropped(self) -> int:
        """Fraction bits of the sums that are rounded off before the way back."""
        return self.inputs + self.weights - self.kept


@dataclass(frozen=True)
class Bound:
    """A number that is at most `magnitude` in size and at most `error` off the real one."""

    magnitude: float
    error: float = 0.0

    def __add__(self, other: Bound) -> Bound:
        return Bound(self.magnitude + other.magnitude, self.error + other.error)

    __sub__ = __add__

    def __neg__(self) -> Bound:
        return self

    def times(self, factor: float, off: float) -> Bound:
        """By a constant that is `off` its real value."""
        return Bound(self.magnitude * abs(factor), self.error * abs(factor) + self.magnitude * off)

    def rounded(self, bits: int) -> Bound:
        """Divided by 2**bits."""
        unit = 2.0**-bits
        return Bound(self.magnitude * unit + 0.5, self.error * unit + 0.5) if bits else self


N = TypeVar("N", Integers, Bound)
"""What the flow graph computes on."""

_OFF = 2.0 ** -(TWIDDLE_BITS + 1)
"""Largest error of a twiddle factor."""
_ROUNDING = Bound(0.5, 0.5)


def multiplications(block: int) -> int:
    """R(K) of one transform: 0, 0, 2, 10, 34, 98 for K = 2 to 64."""
    if block < 8:
        return 0
    return multiplications(block // 2) + 2 * multiplications(block // 4) + 2 + 6 * (block // 8 - 1)


def products(block: int) -> int:
    """E(K) for one pair of spectra: 2 real and K/2 - 1 complex products, of three multiplications each."""
    return 2 + 3 * (block // 2 - 1)


def forward(x: Sequence[N]) -> list[N]:
    """The packed half spectrum of K numbers."""
    size = len(x)
    if size == 1:
        return list(x)
    if size == 2:
        return [x[0] + x[1], x[0] - x[1]]
    e, z, w = forward(x[::2]), forward(x[1::4]), forward(x[3::4])
    half, quarter, eighth = size // 2, size // 4, size // 8
    out = [x[0]] * size
    out[0], out[1] = e[0] + (z[0] + w[0]), e[0] - (z[0] + w[0])
    out[half], out[half + 1] = e[1], w[0] - z[0]
    if size >= 8:
        p, s = _half_root(z[1] - w[1]), _half_root(z[1] + w[1])
        m, far = 2 * eighth, 2 * (half - eighth)
        out[m], out[m + 1] = e[m] + p, e[m + 1] - s
        out[far], out[far + 1] = e[m] - p, -e[m + 1] - s
    for m in range(1, eighth):
        a = _rotate(z[2 * m], z[2 * m + 1], -m, size)
        b = _rotate(w[2 * m], w[2 * m + 1], -3 * m, size)
        s_re, s_im, d_re, d_im = a[0] + b[0], a[1] + b[1], a[0] - b[0], a[1] - b[1]
        n, up, far = 2 * (quarter - m), 2 * (quarter + m), 2 * (half - m)
        out[2 * m], out[2 * m + 1] = e[2 * m] + s_re, e[2 * m + 1] + s_im
        out[far], out[far + 1] = e[2 * m] - s_re, s_im - e[2 * m + 1]
        out[up], out[up + 1] = e[n] + d_im, -e[n + 1] - d_re
        out[n], out[n + 1] = e[n] - d_im, e[n + 1] - d_re
    return out


def inverse(x: Sequence[N]) -> list[N]:
    """K times the numbers of a packed half spectrum."""
    size = len(x)
    if size == 1:
        return list(x)
    if size == 2:
        return [x[0] + x[1], x[0] - x[1]]
    half, quarter, eighth = size // 2, size // 4, size // 8
    e, z, w = [x[0]] * half, [x[0]] * quarter, [x[0]] * quarter
    s, d = x[0] - x[1], -x[half + 1] - x[half + 1]
    e[0], e[1] = x[0] + x[1], x[half] + x[half]
    z[0], w[0] = s + d, s - d
    if size >= 8:
        m, far = 2 * eighth, 2 * (half - eighth)
        e[m], e[m + 1] = x[m] + x[far], x[m + 1] - x[far + 1]
        re, im = x[m] - x[far], x[m + 1] + x[far + 1]
        z[1], w[1] = _half_root(re - im, 2), _half_root(-re - im, 2)
    for m in range(1, eighth):
        n, up, far = 2 * (quarter - m), 2 * (quarter + m), 2 * (half - m)
        e[2 * m], e[2 * m + 1] = x[2 * m] + x[far], x[2 * m + 1] - x[far + 1]
        e[n], e[n + 1] = x[up] + x[n], x[n + 1] - x[up + 1]
        s_re, s_im = x[2 * m] - x[far], x[2 * m + 1] + x[far + 1]
        d_re, d_im = -x[n + 1] - x[up + 1], x[up] - x[n]
        z[2 * m], z[2 * m + 1] = _rotate(s_re + d_re, s_im + d_im, m, size)
        w[2 * m], w[2 * m + 1] = _rotate(s_re - d_re, s_im - d_im, 3 * m, size)
    out = [x[0]] * size
    out[::2], out[1::4], out[3::4] = inverse(e), inverse(z), inverse(w)
    return out


def spectra(columns: Integers, precision: Precision | None = None) -> Integers:
    """Packed half spectra of first columns, as the hardware stores them.

    Args:
        columns: (block rows, block columns, K, positions).
        precision: that of `Precision.of(K)` if None.

    Returns:
        The same shape; raw, with `Precision.weights` fraction bits, rounded half to even from float64.
    """
    block = columns.shape[2]
    bins = np.fft.rfft(columns, axis=2)
    packed = np.empty(columns.shape)
    packed[:, :, 0], packed[:, :, 1] = bins[:, :, 0].real, bins[:, :, -1].real
    packed[:, :, 2::2], packed[:, :, 3::2] = bins[:, :, 1:-1].real, bins[:, :, 1:-1].imag
    precision = precision or Precision.of(block)
    return np.rint(packed * 2.0**precision.weights).astype(np.int64)


def accumulate(columns: Integers, inputs: Integers, precision: Precision | None = None) -> Integers:
    """Sums over positions and input blocks, by way of spectra: what the hardware computes, in every bit.

    Args:
        columns: (block rows, block columns, K, positions).
        inputs: (samples, block columns * K, positions).
        precision: that of `Precision.of(K)` if None.

    Returns:
        (samples, block rows * K); off the product with the expanded weights by at most `error_bound`.
    """
    rows, across, block, positions = columns.shape
    precision = precision or Precision.of(block)
    raised = inputs.reshape(-1, across, block, positions) << precision.inputs
    x = forward([raised[:, :, i] for i in range(block)])
    c = np.moveaxis(spectra(columns, precision), 2, 0)

    def product(left: Integers, right: Integers) -> Integers:
        result: Integers = matmul(left.reshape(-1, across * positions), right.reshape(rows, -1).T)
        return result

    totals = [product(x[0], c[0]), product(x[1], c[1])]
    for m in range(2, block, 2):
        totals.append(product(x[m], c[m]) - product(x[m + 1], c[m + 1]))
        totals.append(product(x[m], c[m + 1]) + product(x[m + 1], c[m]))
    scaled = inverse([_rounded(total, precision.dropped) for total in totals])
    shift = precision.kept + block.bit_length() - 1
    sums = np.stack([_rounded(value, shift) for value in scaled], axis=-1)
    result: Integers = sums.reshape(len(inputs), rows * block)
    return result


@dataclass(frozen=True)
class Widths:
    """Largest magnitudes, for the widths of hardware, and the largest error of a sum.

    `turn` and `back` are of the products inside the transforms, `bins` of what a transform back multiplies, `error` is in
    units of the sum.
    """

    spectrum: int
    turn: int
    weight: int
    total: int
    back: int
    bins: int
    error: float

    @property
    def bits(self) -> int:
        """Bits of the widest number."""
        return max(self.turn, self.total, self.back).bit_length() + 1

    def joined(self, other: Widths) -> Widths:
        """What holds for both."""
        return Widths(*map(max, astuple(self), astuple(other)))


def widths(columns: Integers, input_bound: int, precision: Precision | None = None) -> Widths:
    """Range and error analysis for given weights and any inputs up to a magnitude.

    Args:
        columns: (block rows, block columns, K, positions).
        input_bound: largest |input|.
        precision: that of `Precision.of(K)` if None.
    """
    block = columns.shape[2]
    precision = precision or Precision.of(block)
    raised = Bound(float(input_bound << precision.inputs))
    x = forward([raised] * block)
    raw = spectra(columns, precision)
    c = np.abs(raw).astype(np.float64)
    rounding = 0.0 if block <= EXACT_UP_TO else 0.5
    worst: list[Bound] = []
    sizes = c.sum(axis=(1, 3)).max(
        axis=0
    )  # largest sum of |weight| in a row of blocks, by element of a spectrum
    terms = columns.shape[1] * columns.shape[3]
    for m in range(block):
        pairs = [(m, m)] if m < 2 else [(m, m), (m ^ 1, m ^ 1)] if m % 2 == 0 else [(m ^ 1, m), (m, m ^ 1)]
        magnitude = sum(x[i].magnitude * sizes[j] for i, j in pairs)
        error = sum(x[i].error * sizes[j] + x[i].magnitude * rounding * terms for i, j in pairs)
        worst.append(Bound(magnitude, error))
    scaled = inverse([bound.rounded(precision.dropped) for bound in worst])
    shift = precision.kept + block.bit_length() - 1
    error = max(bound.error for bound in scaled) * 2.0**-shift + (0.5 if rounding else 0.0)
    growth = 2.0 ** (TWIDDLE_BITS + 2) if block > EXACT_UP_TO else 1.0
    spectrum = max(bound.magnitude for bound in x)
    back = max(bound.magnitude for bound in scaled)
    return Widths(
        spectrum=math.ceil(spectrum),
        turn=math.ceil(spectrum * growth),
        weight=2 * int(c.max()),
        total=math.ceil(3 * max(bound.magnitude for bound in worst)),
        back=math.ceil(back * growth),
        bins=math.ceil(back),
        error=error,
    )


def _rounded(value: Integers, bits: int) -> Integers:
    """value / 2**bits, rounded half up."""
    result: Integers = (value + ((1 << bits) >> 1)) >> bits
    return result


def cosine(step: int) -> int:
    """cos(2 pi step / 64) in fixed point."""
    return round(math.cos(math.tau * step / 64) * (1 << TWIDDLE_BITS))


def _rotate(re: N, im: N, step: int, size: int) -> tuple[N, N]:
    """(re + i im) turned by the angle 2 pi step / size."""
    angle = step * (64 // size)
    c, s = cosine(angle), cosine(angle - 16)
    if isinstance(re, Bound) and isinstance(im, Bound):
        cosine_, sine = c / 2**TWIDDLE_BITS, s / 2**TWIDDLE_BITS
        first = re.times(cosine_, _OFF) + im.times(sine, _OFF)
        second = re.times(sine, _OFF) + im.times(cosine_, _OFF)
        return first + _ROUNDING, second + _ROUNDING
    return _rounded(re * c - im * s, TWIDDLE_BITS), _rounded(re * s + im * c, TWIDDLE_BITS)


def _half_root(value: N, raised: int = 1) -> N:
    """raised * value * sqrt(1/2)."""
    if isinstance(value, Bound):
        return value.times(raised * math.sqrt(0.5), raised * _OFF) + _ROUNDING
    return _rounded(value * cosine(8), TWIDDLE_BITS + 1 - raised)

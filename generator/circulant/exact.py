"""Circulant blocks with few multiplications and without rounding: the golden of hls_kernels/circulant_exact.hpp.

A circulant block times a vector is a product of polynomials modulo z^K - 1 = (z^(K/2) - 1)(z^(K/2) + 1). By the Chinese
remainder theorem it is a product modulo each factor: the first is again circulant, of half the size; the second is
multiplied by Karatsuba's rule and reduced. So there are X(K) = X(K/2) + 3^log2(K/2) multiplications, and additions.

A transform is an integer matrix: points = EVALUATE @ block for inputs and columns alike, and
K * result = INTERPOLATE @ (products of points).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..fixed_point import Integers

LARGEST = 32
"""Beyond it, operands would have more points than a direct product of K = 32 has in proportion."""


@cache
def evaluation(block: int) -> Integers:
    """The matrix (X(K), K) of -1, 0 and 1 from a block to its points."""
    if block == 1:
        return np.ones((1, 1), dtype=np.int64)
    half = np.eye(block // 2, dtype=np.int64)
    plus, minus = np.hstack([half, half]), np.hstack([half, -half])
    return np.vstack([evaluation(block // 2) @ plus, _karatsuba_evaluation(block // 2) @ minus])


@cache
def interpolation(block: int) -> Integers:
    """The matrix (K, X(K)) from products of points to K times the result."""
    if block == 1:
        return np.ones((1, 1), dtype=np.int64)
    half = block // 2
    whole = _karatsuba_interpolation(half)
    minus = whole[:half].copy()
    minus[:-1] -= whole[half:]
    plus = interpolation(half)
    return np.vstack([np.hstack([plus, half * minus]), np.hstack([plus, -half * minus])])


@cache
def multiplications(block: int) -> int:
    """X(K): 2, 5, 14, 41, 122 for K = 2, 4, 8, 16, 32."""
    return len(evaluation(block))


@cache
def additions(block: int) -> tuple[int, int]:
    """Additions for the points of a block, and for a result from its products: 20 and 34 for K = 8."""
    before, after, size = 0, 0, block
    while size > 1:
        half = size // 2
        into, out = _karatsuba_additions(half)
        before, after, size = before + size + into, after + size + (half - 1) + out, half
    return before, after


def accumulate(columns: Integers, inputs: Integers, size: int | None = None) -> Integers:
    """Sums over positions and input blocks, by way of the points.

    Args:
        columns: (block rows, block columns, K, positions).
        inputs: (samples, block columns * K, positions).
        size: of the blocks that are multiplied, which divides K: see `strided`. K itself if None.

    Returns:
        (samples, block rows * K); the products of the expanded weights, in every bit.
    """
    rows, across, block, positions = columns.shape
    size = size or block
    stride = block // size
    split = inputs.reshape(-1, across, size, stride, positions).swapaxes(2, 3)
    points = np.einsum("tk,nqukp->nqutp", evaluation(size), split)
    factors = np.einsum("tk,rqsukp->rqsutp", evaluation(size), strided(columns, size))
    totals = np.einsum("nqutp,rqsutp->nrst", points, factors)
    scaled = totals @ interpolation(size).T  # samples, block rows, first output, every stride-th from there
    assert not (scaled % size).any()
    result: Integers = (scaled // size).swapaxes(2, 3).reshape(len(inputs), rows * block)
    return result


def strided(columns: Integers, size: int) -> Integers:
    """The columns of the smaller blocks that every block is made of, if inputs and outputs are taken in strides.

    With stride = K / size, element a * stride + s of a block's result is a sum over elements b * stride + u of its input;
    their weights are column[((a - b) * stride + s - u) mod K]: for every s and u a circulant block of that size.

    Args:
        columns: (block rows, block columns, K, positions).
        size: a power of two that divides K.

    Returns:
        (block rows, block columns, s, u, size, positions).
    """
    block = columns.shape[2]
    stride = block // size
    s, u, d = np.ogrid[:stride, :stride, :size]
    return columns[:, :, (d * stride + s - u) % block]


@cache
def total_bound(block: int, input_bound: int, weight_bound: int, terms: int) -> int:
    """Largest magnitude among the sums of products and all that becomes of them on the way back.

    Args:
        block: K.
        input_bound: largest |input|.
        weight_bound: largest |weight|.
        terms: blocks that are summed, of all positions.
    """
    points = np.abs(evaluation(block)).sum(axis=1)
    totals = points * points * (input_bound * weight_bound * terms)
    return int(max(totals.max(), _largest_between(block, totals)))


def _largest_between(block: int, totals: Integers) -> int:
    """Largest magnitude of the intermediate results of `interpolation`, for totals of such magnitudes."""
    if block == 1:
        return int(totals[0])
    half = block // 2
    products = multiplications(half)
    inner = _largest_between(half, totals[:products])
    whole = np.abs(_karatsuba_interpolation(half)) @ totals[products:]
    between = _karatsuba_between(half, totals[products:])
    plus = np.abs(interpolation(half)) @ totals[:products]
    return int(max(inner, between, 2 * half * whole.max() + plus.max()))


def _karatsuba_between(size: int, totals: Integers) -> int:
    """Likewise of Karatsuba's rule: sums of three partial products."""
    if size == 1:
        return int(totals[0])
    parts = np.split(totals, 3)
    inner = max(_karatsuba_between(size // 2, part) for part in parts)
    matrix = np.abs(_karatsuba_interpolation(size // 2))
    return max(inner, 2 * sum(int((matrix @ part).max()) for part in parts))


@cache
def _karatsuba_evaluation(size: int) -> Integers:
    """(3^log2(size), size): points of the lower half, the upper half, and their sum."""
    if size == 1:
        return np.ones((1, 1), dtype=np.int64)
    inner, none = _karatsuba_evaluation(size // 2), np.zeros_like(_karatsuba_evaluation(size // 2))
    return np.vstack([np.hstack([inner, none]), np.hstack([none, inner]), np.hstack([inner, inner])])


@cache
def _karatsuba_interpolation(size: int) -> Integers:
    """(2 * size - 1, 3^log2(size)): coefficients of the product."""
    if size == 1:
        return np.ones((1, 1), dtype=np.int64)
    inner = _karatsuba_interpolation(size // 2)
    half, (length, products) = size // 2, inner.shape
    result = np.zeros((2 * size - 1, 3 * products), dtype=np.int64)
    low, high, both = (slice(i * products, (i + 1) * products) for i in range(3))
    result[:length, low] += inner
    result[size : size + length, high] += inner
    for part, sign in ((both, 1), (low, -1), (high, -1)):
        result[half : half + length, part] += sign * inner
    return result


def _karatsuba_additions(size: int) -> tuple[int, int]:
    """Additions for the points of a polynomial, and for its product's coefficients."""
    if size == 1:
        return 0, 0
    into, out = _karatsuba_additions(size // 2)
    # both - low - high for size - 1 coefficients, added where they meet low or high: all but the middle one.
    return 3 * into + size // 2, 3 * out + 2 * (size - 1) + (size - 2)

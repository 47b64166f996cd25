"""How far the integer algorithms of softmax and layer normalisation are from the real functions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import intarsia.hls_kernels
from intarsia.arithmetic.integer_norm import GAMMA_BITS, norm_numbers, norm_of_rows, z_fraction
from intarsia.arithmetic.integer_softmax import (
    LOG_OF_2,
    exponential_tables,
    log_table,
    softmax_numbers,
    softmax_of_rows,
)
from intarsia.arithmetic.leading_one import leading_one
from intarsia.fixed_point import FixedPoint, Floats, Integers
from intarsia.quantise.exponents import full_range_exponent

BOUND = 0.6
"""LSB of the output between an integer result and the real one: half of one is the rounding."""


def stress(number: FixedPoint, channels: int, seed: int) -> Integers:
    """Rows at the rails, almost constant ones, one-hot ones, and random ones of all sizes."""
    rng = np.random.default_rng(seed)
    rows = [np.full(channels, value) for value in (0, number.minimum, number.maximum)]
    rows += [number.maximum - rng.integers(0, 2, channels) for _ in range(4)]
    rows += [np.eye(channels, dtype=int)[0] * value for value in (1, number.minimum, number.maximum)]
    for bits in range(2, number.bits + 1):
        narrow = FixedPoint(bits, 0)
        rows += list(rng.integers(narrow.minimum, narrow.maximum, (4, channels), endpoint=True))
        rows += list(
            np.clip(np.rint(rng.normal(0, 2 ** (bits - 2), (4, channels))), number.minimum, number.maximum)
        )
    return np.array(rows, dtype=np.int64)


def distance(found: Integers, exact: Floats, output: FixedPoint) -> float:
    """Largest difference in LSB; beyond the output's range the nearest rail is right."""
    steps = np.clip(exact / output.scale + output.zero, output.minimum, output.maximum)
    return float(np.abs(found - steps).max())


def output_of(exact: Floats, bits: int, mantissa: float) -> FixedPoint:
    """A format that just holds the values, off centre by a bit."""
    exponent = full_range_exponent(float(np.abs(exact).max()) or 1.0, bits)
    return FixedPoint(bits, exponent, mantissa=mantissa, zero=-1)


def mantissa(seed: int) -> float:
    """That of a scale: a power of two or not."""
    return (1.0, 1.2345, 1.999)[seed % 3]


WIDTHS = st.sampled_from((4, 6, 8, 9, 12, 16))
CHANNELS = st.sampled_from((2, 3, 10, 64, 100, 1000, 4096))


@settings(max_examples=60, deadline=None)
@given(WIDTHS, WIDTHS, CHANNELS, st.integers(-10, 4), st.booleans(), st.integers(0, 1 << 16))
def test_softmax(source_bits: int, bits: int, channels: int, scale: int, log: bool, seed: int) -> None:
    source = FixedPoint(source_bits, scale - source_bits, mantissa=1.0 if log else mantissa(seed), zero=3)
    rows = stress(source, channels, seed)
    limits = np.full(len(rows), channels)
    if not log:
        limits[::3] = np.random.default_rng(seed).integers(1, channels, len(limits[::3]), endpoint=True)
    counts = np.arange(channels) < limits[:, np.newaxis]
    real = np.where(counts, source.dequantise(rows), -np.inf)
    real -= real.max(axis=1, keepdims=True)
    sums = np.exp(real).sum(axis=1, keepdims=True)
    exact = real - np.log(sums) if log else np.exp(real) / sums
    output = output_of(exact, bits, 1.0 if log else mantissa(seed + 1))
    numbers = softmax_numbers(source, output, channels, (output.minimum, output.maximum), log)
    fine, coarse = exponential_tables(source, numbers.fraction)
    found = softmax_of_rows(rows, limits, fine, coarse, numbers, log)
    assert distance(found, exact, output) <= BOUND
    assert (found[~counts] == output.zero).all()


@settings(max_examples=60, deadline=None)
@given(
    WIDTHS,
    WIDTHS,
    CHANNELS,
    st.integers(-10, 4),
    st.booleans(),
    st.sampled_from((0.0, 1e-12, 1e-5, 0.1)),
    st.integers(0, 1 << 16),
)
def test_norm(
    source_bits: int, bits: int, channels: int, scale: int, centre: bool, epsilon: float, seed: int
) -> None:
    source = FixedPoint(source_bits, scale - source_bits, mantissa=mantissa(seed), zero=3 * centre)
    rows, rng = stress(source, channels, seed), np.random.default_rng(seed)
    real = source.dequantise(rows)
    if centre:  # in integers: rows of one value have no variance at all
        real = (channels * rows - rows.sum(axis=1, keepdims=True)) * (source.scale / channels)
    square = np.square(real).mean(axis=1, keepdims=True) + epsilon
    z = np.divide(real, np.sqrt(square), where=square > 0, out=np.zeros_like(real))
    unit = mantissa(seed + 1)
    gamma_format = FixedPoint(GAMMA_BITS, -13, mantissa=unit)
    gamma = gamma_format.quantise(rng.normal(1, 0.3, channels))
    scaled = z * gamma_format.dequantise(gamma)
    output = output_of(1.5 * scaled, bits, unit)
    beta_format = FixedPoint(
        24, max(-20, -13 - z_fraction(source, output, (gamma_format, gamma), epsilon)), mantissa=unit
    )
    beta = beta_format.quantise(rng.normal(0, 0.2, channels))
    try:
        numbers = norm_numbers(
            source,
            output,
            (gamma_format, gamma),
            (beta_format, beta),
            epsilon,
            centre,
            (output.minimum, output.maximum),
        )
    except ValueError as error:  # long rows of fine numbers with a large epsilon: refused
        assert "rows of" in str(error) and channels * epsilon > 100
        reject()
    found = norm_of_rows(rows, gamma, beta, numbers)
    assert distance(found, scaled + beta_format.dequantise(beta), output) <= BOUND


def test_leading_one() -> None:
    values = np.array(
        [0, 1, 2, 3, *((1 << bit) + offset for bit in (20, 40, 53, 60) for offset in (-1, 0, 1))]
    )
    assert leading_one(values).tolist() == [max(int(value).bit_length() - 1, 0) for value in values]


def test_the_kernel_has_the_same_logarithms() -> None:
    text = (Path(intarsia.hls_kernels.__path__[0]) / "logarithm.hpp").read_text()
    table = re.search(r"kLogTable\[.*?\] = \{(.*?)\}", text, re.DOTALL)
    assert table is not None
    assert [int(value) for value in table.group(1).split(",")] == log_table().tolist()
    assert f"kLogOfTwo = {LOG_OF_2};" in text


@pytest.mark.parametrize("log", [False, True])
def test_what_does_not_fit_is_refused(log: bool) -> None:
    with pytest.raises(ValueError, match="61 are allowed"):
        softmax_numbers(FixedPoint(16, 30), FixedPoint(16, -15 if log else -60), 1 << 14, (0, 1), log)

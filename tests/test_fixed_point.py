from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.arithmetic.rounding import divide
from intarsia.fixed_point import ChannelFormat, FixedPoint

LIMIT = 2**62

formats = st.builds(FixedPoint, st.integers(1, 32), st.integers(-30, 30), st.booleans())


@given(st.integers(-LIMIT + 1, LIMIT - 1), st.integers(1, 1 << 20), st.integers(0, 40))
def test_division_is_exact_half_even(raw: int, divisor: int, shift: int) -> None:
    assert divide(np.array([raw]), divisor, shift)[0] == round(Fraction(raw, divisor << shift))


@given(st.integers(-(2**40), 2**40), st.integers(1, 1 << 20), st.integers(-20, 0))
def test_division_with_a_left_shift(raw: int, divisor: int, shift: int) -> None:
    assert divide(np.array([raw]), divisor, shift)[0] == round(Fraction(raw << -shift, divisor))


@pytest.mark.parametrize("shift", range(63))
@pytest.mark.parametrize("divisor", [1, 2, 3, 6, 7, 9, 25, 49, 64, 100])
def test_ties_and_their_neighbours(shift: int, divisor: int) -> None:
    denominator = divisor << shift
    if denominator >= LIMIT:
        return
    halves = [k * denominator // 2 + d for k in range(-7, 8) for d in (-1, 0, 1)]
    raws = [raw for raw in halves if abs(raw) < LIMIT]
    expected = [round(Fraction(raw, denominator)) for raw in raws]
    assert divide(np.array(raws, dtype=np.int64), divisor, shift).tolist() == expected


@given(st.data())
def test_shifts_may_differ_by_element(data: st.DataObject) -> None:
    shifts = data.draw(st.lists(st.integers(-10, 40), min_size=1, max_size=8))
    raws = [data.draw(st.integers(-(2**40), 2**40)) for _ in shifts]
    divisor = data.draw(st.sampled_from([1, 3, 49]))
    expected = [
        round(Fraction(raw, divisor) / Fraction(2) ** shift) for raw, shift in zip(raws, shifts, strict=True)
    ]
    assert divide(np.array(raws), divisor, np.array(shifts)).tolist() == expected


@given(st.integers(2, 10), st.integers(0, 20), st.lists(st.integers(-10, 10), min_size=1, max_size=3))
def test_channel_formats_are_formats_by_channel(bits: int, seed: int, exponents: list[int]) -> None:
    number = ChannelFormat(bits, tuple(exponents))
    reals = np.random.default_rng(seed).normal(0, 8, (len(exponents), 4, 2))
    raw = number.quantise(reals)
    for index, exponent in enumerate(exponents):
        one = FixedPoint(bits, exponent)
        np.testing.assert_array_equal(raw[index], one.quantise(reals[index]))
        np.testing.assert_array_equal(number.dequantise(raw)[index], one.dequantise(raw[index]))


@given(formats, st.floats(-(2.0**40), 2.0**40))
def test_quantise_rounds_reals_half_even(number: FixedPoint, value: float) -> None:
    exact = Fraction(value) / Fraction(2) ** number.exponent
    assert number.quantise(np.array(value)) == min(max(round(exact), number.minimum), number.maximum)


@given(formats, st.data())
def test_dequantise_is_undone_by_quantise(number: FixedPoint, data: st.DataObject) -> None:
    raw = data.draw(st.integers(number.minimum, number.maximum))
    assert number.quantise(number.dequantise(np.array([raw])))[0] == raw


def test_ranges_and_text() -> None:
    assert (FixedPoint(8, -3).minimum, FixedPoint(8, -3).maximum) == (-128, 127)
    assert (FixedPoint(4, 0, signed=False).minimum, FixedPoint(4, 0, signed=False).maximum) == (0, 15)
    assert str(FixedPoint(8, -3)) == "int8 * 2^-3"
    assert str(FixedPoint(4, 1, signed=False)) == "uint4 * 2^1"
    with pytest.raises(ValueError, match="1 to 64"):
        FixedPoint(0, 0)

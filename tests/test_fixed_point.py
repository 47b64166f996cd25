from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.fixed_point import FixedPoint, divide_half_even

LIMIT = 2**62

formats = st.builds(FixedPoint, st.integers(1, 32), st.integers(-30, 30), st.booleans())


@given(st.integers(-LIMIT + 1, LIMIT - 1), st.integers(1, 1 << 20), st.integers(0, 40))
def test_division_is_exact_half_even(raw: int, divisor: int, shift: int) -> None:
    assert divide_half_even(np.array([raw]), divisor, shift)[0] == round(Fraction(raw, divisor << shift))


@given(st.integers(-(2**40), 2**40), st.integers(1, 1 << 20), st.integers(-20, 0))
def test_division_with_a_left_shift(raw: int, divisor: int, shift: int) -> None:
    assert divide_half_even(np.array([raw]), divisor, shift)[0] == round(Fraction(raw << -shift, divisor))


@pytest.mark.parametrize("shift", range(63))
@pytest.mark.parametrize("divisor", [1, 2, 3, 6, 7, 9, 25, 49, 64, 100])
def test_ties_and_their_neighbours(shift: int, divisor: int) -> None:
    denominator = divisor << shift
    if denominator >= LIMIT:
        return
    halves = [k * denominator // 2 + d for k in range(-7, 8) for d in (-1, 0, 1)]
    raws = [raw for raw in halves if abs(raw) < LIMIT]
    expected = [round(Fraction(raw, denominator)) for raw in raws]
    assert divide_half_even(np.array(raws, dtype=np.int64), divisor, shift).tolist() == expected


@given(formats, st.integers(-(2**30), 2**30), st.integers(-30, 30), st.integers(1, 200))
def test_cast_rounds_once_then_saturates(number: FixedPoint, raw: int, exponent: int, divisor: int) -> None:
    exponent = max(
        min(exponent, number.exponent + 24), number.exponent - 50
    )  # the range that cast is valid for
    exact = Fraction(raw, divisor) * Fraction(2) ** (exponent - number.exponent)
    expected = min(max(round(exact), number.minimum), number.maximum)
    assert number.cast(np.array([raw]), exponent, divisor)[0] == expected


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

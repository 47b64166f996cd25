"""Comparison and metrics of single tensors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from intarsia.fixed_point import FixedPoint
from intarsia.verify.compare import BUCKETS, OCTAVES, Comparison, Difference, compare
from intarsia.verify.metrics import LIMIT_DB, Fidelity, Saturation, fidelity, saturation

SMALL = arrays(np.int64, (6, 1, 2, 3), elements=st.integers(-4, 4))
REAL = arrays(np.float64, (6, 3), elements=st.floats(-1e6, 1e6))


def test_equal_tensors() -> None:
    result = compare(np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3))
    assert result.equal and result.similarity == 100 and result.elements == 6
    assert result.first is None and result.histogram[OCTAVES] == 6


def test_first_and_worst_difference() -> None:
    expected = np.zeros((2, 1, 2, 2), np.int64)
    got = expected.copy()
    got[0, 0, 1, 0], got[1, 0, 0, 1] = 1, -7
    result = compare(expected, got, first_sample=10)
    assert result.first == Difference(10, (0, 1, 0), 0, 1)
    assert result.worst == Difference(11, (0, 0, 1), 0, -7)
    assert (result.mismatches, result.max_lsb, result.sum_lsb) == (2, 7, -6)
    assert result.similarity == 75 and result.mean_lsb == -0.75


@pytest.mark.parametrize(
    ("distance", "bucket"),
    [(0, 0), (1, 1), (-1, -1), (3, 2), (4, 3), (127, 7), (128, 8), (-255, -8), (9999, 8)],
)
def test_histogram_buckets(distance: int, bucket: int) -> None:
    histogram = compare(np.zeros((1, 1), np.int64), np.full((1, 1), distance)).histogram
    assert histogram[BUCKETS.index(bucket)] == 1 and sum(histogram) == 1


@pytest.mark.parametrize(
    "got", [np.zeros((2, 4), np.int64), np.zeros((2, 3), np.float32), np.zeros((1, 3), np.int64)]
)
def test_wrong_shape_or_type_is_a_mismatch_not_a_crash(got: np.ndarray) -> None:
    result = compare(np.zeros((2, 3), np.int64), got)
    assert result.mismatches == result.elements == 6 and result.problem


def test_unsigned_worlds_do_not_wrap() -> None:
    assert compare(np.array([[200]]), np.array([[100]], np.uint8)).max_lsb == 100


@given(SMALL, SMALL, st.integers(0, 6), st.integers(0, 6))
def test_merging_parts_is_exact_and_associative(
    expected: np.ndarray, got: np.ndarray, left: int, right: int
) -> None:
    whole = compare(expected, got)
    start, stop = sorted((left, right))
    parts = [
        compare(expected[part], got[part], part.start)
        for part in (slice(0, start), slice(start, stop), slice(stop, 6))
    ]
    assert parts[0].merge(parts[1]).merge(parts[2]) == whole
    assert parts[0].merge(parts[1].merge(parts[2])) == whole
    assert parts[2].merge(parts[0]).merge(parts[1]) == whole
    assert whole.merge(Comparison()) == whole
    assert sum(whole.histogram) == whole.elements


@given(REAL, REAL, st.integers(0, 6))
def test_merging_fidelity_is_exact(reference: np.ndarray, image: np.ndarray, cut: int) -> None:
    whole = fidelity(reference, image)
    assert fidelity(reference[:cut], image[:cut]).merge(fidelity(reference[cut:], image[cut:])) == whole
    assert -LIMIT_DB <= whole.sqnr_db <= LIMIT_DB and -1 <= whole.cosine <= 1


def test_sqnr_and_cosine() -> None:
    reference = np.array([[3.0, 4.0]])
    assert fidelity(reference, reference).sqnr_db == LIMIT_DB
    assert fidelity(reference, reference * 0.9).sqnr_db == pytest.approx(20)
    assert fidelity(reference, reference * 0.9).cosine == pytest.approx(1)
    assert fidelity(reference, np.array([[-4.0, 3.0]])).cosine == pytest.approx(0)
    assert fidelity(reference * 0, reference).sqnr_db == -LIMIT_DB
    assert Fidelity().cosine == 1


def test_values_that_are_not_finite_are_counted() -> None:
    result = fidelity(np.array([[1.0, np.nan, np.inf]]), np.array([[1.0, 1.0, 1.0]]))
    assert result.not_finite == 2 and result.sqnr_db == LIMIT_DB


def test_saturation_at_both_rails() -> None:
    raw = np.array([[-128, 127, 127, 0]])
    assert saturation(raw, FixedPoint(8, 0)) == Saturation(4, 1, 2)
    assert saturation(raw, FixedPoint(8, 0)).percent == 75


def test_zero_of_an_unsigned_format_is_not_saturation() -> None:
    assert saturation(np.array([[0, 255]]), FixedPoint(8, 0, signed=False)) == Saturation(2, 0, 1)

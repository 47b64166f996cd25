"""Stress vectors reach what real samples do not."""

from __future__ import annotations

import numpy as np
import pytest

from intarsia.fixed_point import FixedPoint
from intarsia.task_graph import Tensor
from intarsia.verify.stimuli import NAMES, stress

SHAPES = {
    "image": ((1, 3, 5, 4), 1),
    "grey": ((1, 1, 5, 5), 1),
    "vector": ((1, 20), 1),
    "scalar": ((1, 1), 1),
}
FORMATS = [FixedPoint(8, -7), FixedPoint(8, 0, signed=False), FixedPoint(16, 3), FixedPoint(4, 0)]


@pytest.mark.parametrize("number", FORMATS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_ranges(shape: str, number: FixedPoint) -> None:
    size, axis = SHAPES[shape]
    vectors = stress([Tensor("x", size, axis, number)])["x"]
    assert vectors.shape == (len(NAMES), *size) and vectors.dtype == np.int64
    assert vectors.min() == number.minimum and vectors.max() == number.maximum


def test_patterns() -> None:
    number = FixedPoint(8, 0)
    vectors = dict(zip(NAMES, stress([Tensor("x", (1, 3, 4, 4), 1, number)])["x"], strict=True))
    assert not vectors["zeros"].any()
    assert (vectors["lower rail"] == -128).all() and (vectors["upper rail"] == 127).all()
    assert (vectors["checkerboard 0"] + vectors["checkerboard 1"] == -1).all()
    assert np.unique(vectors["ramp up"]).size == 48
    hot = [np.flatnonzero(vectors[f"one-hot {i}"].any(axis=(0, 2, 3))).tolist() for i in range(8)]
    assert all(len(channels) == 1 for channels in hot) and {channels[0] for channels in hot} == {0, 1, 2}


def test_one_channel_has_hot_elements() -> None:
    vectors = stress([Tensor("x", (1, 1, 4, 4), 1, FixedPoint(8, 0))])["x"]
    hot = [np.flatnonzero(vectors[NAMES.index(f"one-hot {i}")]).tolist() for i in range(8)]
    assert hot[0] == [0] and hot[-1] == [15] and all(len(elements) == 1 for elements in hot)


def test_inputs_are_deterministic_and_differ_from_each_other() -> None:
    tensors = [Tensor(name, (1, 8), 1, FixedPoint(8, 0)) for name in ("a", "b")]
    first, again = stress(tensors), stress(tensors)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["a"][-1], first["b"][-1])

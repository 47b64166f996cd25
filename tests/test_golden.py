"""The golden computes in floating point where that is exact; here, against plain integers."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import RELU, chain
from hypothesis import given
from hypothesis import strategies as st

from intarsia import golden
from intarsia.arithmetic.exact import exact_type
from intarsia.arithmetic.requantisation import Requantisation, requantisation
from intarsia.ops import sliding
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.conv import Conv
from intarsia.ops.depthwise_conv import DepthwiseConv
from intarsia.ops.max_pool import MaxPool
from intarsia.quantise import QuantiseOptions, quantise
from intarsia.quantise.accumulators import accumulator_bound
from intarsia.quantise.histogram import histogram
from intarsia.task_graph import TaskGraph


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def quantised(bits: int) -> TaskGraph:
    """All kinds of sums; at 8 bits the second convolution's are beyond 2**24 steps of float32 at worst."""
    graph = chain(
        (3, 12, 12),
        [
            (Conv((3, 3), pads=(1, 1, 1, 1)), {"weight": weights(16, 3, 3, 3), "bias": weights(16)}, RELU),
            (
                DepthwiseConv((3, 3), stride=(2, 2)),
                {"weight": weights(16, 1, 3, 3), "bias": weights(16)},
                RELU,
            ),
            (Conv((5, 5), pads=(2, 2, 2, 2)), {"weight": weights(64, 16, 5, 5)}, RELU),
            (MaxPool((2, 2), (1, 1), pads=(1, 1, 0, 0)), {}, RELU),
            (AveragePool((3, 3)), {}, RELU),
        ],
    )
    reals = {"x": weights(2, 1, 3, 12, 12)}
    statistics = {name: histogram(values) for name, values in golden.run_float(graph, reals).items()}
    return quantise(graph, statistics, QuantiseOptions(bits, bits))


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
def test_floats_and_integers_agree(bits: int) -> None:
    graph = quantised(bits)
    number = graph.tensors["x"].number
    raw = np.random.default_rng(0).integers(number.minimum, number.maximum + 1, (3, 1, 3, 12, 12))
    trace = golden.run(graph, {"x": raw})
    for task in graph.tasks:
        operands = [trace[name] for name in task.inputs]
        expected = requantisation(graph, task).apply(task.operator.accumulate(operands, task.values), 1)
        np.testing.assert_array_equal(trace[task.output], expected)
        assert trace[task.output].dtype == np.int64


@pytest.mark.parametrize("bits", [8, 16])
def test_blocks_of_samples_and_rows_agree_with_the_whole(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = quantised(bits)
    number = graph.tensors["x"].number
    raw = np.random.default_rng(0).integers(number.minimum, number.maximum + 1, (5, 1, 3, 12, 12))
    whole = golden.run(graph, {"x": raw})
    monkeypatch.setattr(golden, "_CACHED_ELEMENTS", 2 * 64 * 12 * 12)
    monkeypatch.setattr(sliding, "_CACHED_ELEMENTS", 5 * 12 * 27)
    parts = golden.run(graph, {"x": raw})
    assert parts.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values)


def test_whole_floats_stay_floats() -> None:
    graph = quantised(8)
    task = graph.tasks[0]
    raw = np.random.default_rng(0).integers(-128, 128, (2, 1, 3, 12, 12))
    found = golden.run_task(graph, task, [raw.astype(np.float32)])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, golden.run_task(graph, task, [raw]))


def test_all_types_take_part() -> None:
    used = {
        exact_type(accumulator_bound(graph, t))
        for bits in (4, 16)
        for graph in [quantised(bits)]
        for t in graph.tasks
    }
    assert used == {np.float32, np.float64}


def test_inputs_beyond_their_format_are_computed_in_integers() -> None:
    graph = quantised(8)
    task = graph.tasks[0]
    raw = np.full((1, 1, 3, 12, 12), (1 << 40) + 1)
    expected = requantisation(graph, task).apply(task.operator.accumulate([raw], task.values), 1)
    np.testing.assert_array_equal(golden.run_task(graph, task, [raw]), expected)


@pytest.mark.parametrize(
    ("bound", "kind"),
    [
        (2**24 - 1, np.float32),
        (2**24, np.float64),
        (2**53 - 1, np.float64),
        (2**53, np.int64),
    ],
)
def test_exact_type(bound: int, kind: type) -> None:
    assert exact_type(bound) is kind
    assert int(kind(bound)) == bound


@given(
    st.lists(st.integers(-(2**24) + 1, 2**24 - 1), min_size=1, max_size=20),
    st.integers(0, 40),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([(8, 0), (8, -3), (16, 1000), (25, 1), (26, (1 << 24) + 1)]),
)
def test_whole_floats_are_rounded_like_integers(
    raws: list[int], shift: int, kind: type, output: tuple[int, int]
) -> None:
    bits, zero = output
    limit = 1 << (bits - 1)
    found = Requantisation((shift - 2, shift + 1), 1, -limit, limit - 1, zero=zero)
    integers = np.array(raws)[:, np.newaxis, np.newaxis].repeat(2, axis=2)
    expected = found.apply(integers, 1)
    np.testing.assert_array_equal(found.apply(integers.astype(kind), 1), expected)

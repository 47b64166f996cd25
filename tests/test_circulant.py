"""Block-circulant weights: projection, expansion, recognition, and integers that stay circulant."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import chain, conv, dense, quantised
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.circulant.blocks import (
    BLOCKS,
    check_block,
    expand,
    first_columns,
    padding_waste,
    project,
    recognise,
    rescaled,
    task_block,
)
from intarsia.errors import IntarsiaError
from intarsia.quantise import QuantiseOptions
from intarsia.task_graph import TaskGraph

sizes = st.tuples(
    st.integers(2, 20), st.integers(2, 20), st.integers(1, 3), st.sampled_from((2, 4, 8)), st.integers(0, 99)
)


def test_a_block_is_a_circular_convolution() -> None:
    rng = np.random.default_rng(0)
    for block in BLOCKS:
        column, x = rng.normal(size=block), rng.normal(size=block)
        weight = expand(column.reshape(1, 1, block, 1), block, block)[:, :, 0]
        np.testing.assert_array_equal(weight[:, 0], column)
        by_fft = np.fft.ifft(np.fft.fft(column) * np.fft.fft(x)).real
        np.testing.assert_allclose(weight @ x, by_fft, atol=1e-9)


@given(sizes)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_other_circulant_matrix_is_nearer(size: tuple[int, int, int, int, int]) -> None:
    """By the normal equations: the residual is orthogonal to every circulant matrix of that shape."""
    outputs, inputs, positions, block, seed = size
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, inputs, positions))
    columns = project(weight, block)
    residual = weight - expand(columns, outputs, inputs)
    for _ in range(4):
        other = expand(rng.normal(size=columns.shape), outputs, inputs)
        assert abs((residual * other).sum()) < 1e-9
        nearby = expand(columns + 1e-3 * rng.normal(size=columns.shape), outputs, inputs)
        assert np.linalg.norm(weight - nearby) >= np.linalg.norm(residual) - 1e-12


def test_padding_does_not_count_in_the_projection() -> None:
    """The published figures of a masked mean against one over the zeros of the padding as well."""
    weight = np.random.default_rng(0).normal(size=(10, 13, 1))
    for block in (4, 8):
        masked = np.linalg.norm(weight - expand(project(weight, block), 10, 13))
        padded = np.pad(weight, ((0, -10 % block), (0, -13 % block), (0, 0)))
        naive = np.linalg.norm(weight - expand(project(padded, block), 10, 13))
        assert masked < naive


def test_one_channel_with_padding_is_reproduced() -> None:
    weight = np.random.default_rng(0).normal(size=(8, 1, 9))
    np.testing.assert_allclose(expand(project(weight, 8), 8, 1), weight)


@given(sizes)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_expanded_weights_are_recognised(size: tuple[int, int, int, int, int]) -> None:
    outputs, inputs, positions, block, seed = size
    if block > min(outputs, inputs):
        return
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(-(-outputs // block), -(-inputs // block), block, positions)).astype(
        np.float32
    )
    weight = expand(columns, outputs, inputs)
    assert recognise(weight) == block
    found = first_columns(weight, block)
    assert found is not None
    np.testing.assert_array_equal(expand(found, outputs, inputs), weight)
    weight[-1, -1, -1] += 1
    broken = recognise(weight)
    whole = expand(project(weight, broken), outputs, inputs) if broken > 1 else weight
    np.testing.assert_allclose(whole, weight)


def test_dense_weights_are_not_recognised() -> None:
    assert recognise(np.random.default_rng(0).normal(size=(8, 8, 3))) == 1
    almost = expand(np.random.default_rng(0).normal(size=(2, 2, 4, 1)), 8, 8)
    almost[7, 7] += 1e-12
    assert recognise(almost) == 1


def test_rescaling_keeps_the_norm() -> None:
    weight = np.random.default_rng(0).normal(size=(10, 12, 2))
    columns = project(weight, 4)
    shrunk, kept = (np.linalg.norm(expand(c, 10, 12)) for c in (columns, rescaled(weight, columns)))
    assert shrunk < 0.7 * np.linalg.norm(weight)
    assert kept == pytest.approx(np.linalg.norm(weight))
    np.testing.assert_array_equal(rescaled(np.zeros((4, 4, 1)), project(np.zeros((4, 4, 1)), 4)), 0)


@pytest.mark.parametrize("block", [0, 1, 3, 6, 128, -2])
def test_sizes_that_are_refused(block: int) -> None:
    with pytest.raises(IntarsiaError, match=f"size {block}. Supported: 2, 4, 8, 16, 32, 64"):
        check_block(block)


def test_padding_waste() -> None:
    assert padding_waste(10, 84, 16) == 16 * 96 / 840
    assert padding_waste(512, 512, 8) == 1


def circulant_graph(block: int) -> TaskGraph:
    """Convolutions and matrix products with circulant weights, some padded, and biases of many sizes."""
    rng = np.random.default_rng(1)
    layers = []
    for layer, inputs, positions in (
        (conv(rng, 8, 12, kernel=(3, 3)), 8, 9),
        (conv(rng, 12, 16, kernel=(1, 1)), 12, 1),
        (dense(rng, 16 * 4, 10), 16, 4),
    ):
        operator, parameters, clamp = layer
        weight = parameters["weight"]
        outputs = len(weight)
        columns = project(weight.reshape(outputs, inputs, positions), block)
        bias = parameters["bias"] * np.geomspace(0.01, 30, outputs)
        exact = expand(columns, outputs, inputs).reshape(weight.shape)
        layers.append((operator, {"weight": exact, "bias": bias}, clamp))
    return chain((8, 4, 4), layers)


@pytest.mark.parametrize(
    "options", [QuantiseOptions(), QuantiseOptions(4, 8, False), QuantiseOptions(16, 16)]
)
@pytest.mark.parametrize("block", [2, 4, 8])
def test_quantised_weights_stay_circulant(block: int, options: QuantiseOptions) -> None:
    """Channels of a block share an exponent, whatever their biases; else rounding would tell them apart."""
    graph = circulant_graph(block)
    assert [task_block(graph, task) for task in graph.tasks] == [block] * 3
    integers = quantised(graph, options)
    assert all(task_block(integers, task) >= block for task in integers.tasks)


def test_dense_tasks_have_no_block() -> None:
    graph = chain((4, 6, 6), [conv(np.random.default_rng(0), 4, 8, kernel=(3, 3))])
    assert task_block(graph, graph.tasks[0]) == 1

"""Moves of data and products of two computed tensors: nests, golden, and C++ bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import chain, conv, quantised, stress_inputs
from hypothesis import given
from hypothesis import strategies as st
from machines import assert_equals_golden
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_qdq import assert_exact

from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.nest import FILL, LONGEST_TABLE, factor
from intarsia.ops.matmul import MatMul
from intarsia.ops.move import Move, move
from intarsia.ops.sigmoids import Sigmoid
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Weights
from intarsia.schedule.pure import sequential
from intarsia.task_graph import UNBOUNDED, Task, TaskGraph, Tensor


@st.composite
def rearrangements(draw: st.DrawFn) -> np.ndarray:
    """Indices of compositions of transposes, reversals and slices, with repetition or padding last."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    x = np.arange(int(np.prod(shape))).reshape(shape)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["transpose", "slice", "reverse"]))
        axis = draw(st.integers(0, x.ndim - 1))
        size = x.shape[axis]
        if kind == "transpose":
            x = x.transpose(draw(st.permutations(range(x.ndim))))
        elif kind == "slice":
            start = draw(st.integers(0, size - 1))
            x = np.take(x, range(start, size, draw(st.integers(1, 2))), axis)
        elif kind == "reverse":
            x = np.flip(x, axis)
    if draw(st.booleans()):
        x = np.repeat(x, draw(st.integers(1, 3)), draw(st.integers(0, x.ndim - 1)))
    else:
        x = np.pad(
            x, [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in x.shape], constant_values=FILL
        )
    return x


@given(rearrangements())
def test_factor_gives_back_the_indices(indices: np.ndarray) -> None:
    nest = factor(indices)
    assert nest is not None
    np.testing.assert_array_equal(nest.indices(), indices.reshape(-1))


@given(st.integers(1, 4), st.integers(1, 4), st.permutations(range(7)), st.integers(2, 4), st.booleans())
def test_irregular_steps_are_a_table(
    outer: int, inner: int, order: list[int], times: int, pads: bool
) -> None:
    """Any order along an axis, whatever stands around it."""
    x = np.arange(outer * 7 * inner).reshape(outer, 7, inner)
    indices = np.repeat(np.take(x, order[:5], axis=1), times, axis=0)
    if pads:
        indices = np.pad(indices, ((0, 0), (1, 2), (0, 0)), constant_values=FILL)
    nest = factor(indices)
    assert nest is not None
    assert nest.table_entries <= 8
    np.testing.assert_array_equal(nest.indices(), indices.reshape(-1))


def test_no_nest_for_a_long_random_permutation() -> None:
    assert factor(np.random.default_rng(0).permutation(LONGEST_TABLE + 1)) is None


def test_no_nest_for_holes() -> None:
    assert factor(np.array([[0, FILL], [FILL, 3]])) is None


def moved(indices: np.ndarray, axis: int, fill: float = 0.0) -> Move:
    result = move(indices, axis, fill)
    assert result is not None
    return result


X = np.arange(6 * 5 * 4).reshape(1, 6, 5, 4)  # channels, height, width
CASES = {
    "transposed": moved(X.transpose(0, 2, 3, 1), 1),
    "channels last": moved(X, 3),
    "middle rows": moved(X[:, :, 1:4, ::-1], 1),
    "few channels": moved(X[:, 2:5], 1),
    "padded": moved(np.pad(X, ((0, 0), (0, 0), (1, 2), (2, 0)), constant_values=FILL), 1),
    "more channels": moved(np.pad(X, ((0, 0), (1, 4), (0, 0), (0, 0)), constant_values=FILL), 1),
    "repeated": moved(np.broadcast_to(X[:, :, :1, :], X.shape), 1),
    "upsampled": moved(X.repeat(2, 2).repeat(2, 3), 1),
    "depth to space": moved(
        X[:, :4].reshape(1, 1, 2, 2, 5, 4).transpose(0, 1, 4, 2, 5, 3).reshape(1, 1, 10, 8), 1
    ),
    "flat": moved(X.reshape(1, 120), 1),
    "rows": moved(X.reshape(1, 30, 4), 2),
    "reflected": moved(np.pad(X, ((0, 0), (0, 0), (2, 3), (1, 2)), mode="reflect"), 1),
    "edges": moved(np.pad(X, ((0, 0), (0, 0), (2, 3), (1, 2)), mode="edge"), 1),
    "channels in any order": moved(X[:, [3, 0, 1, 5, 4, 1]], 1),
    "rows in any order": moved(X[:, :, [3, 0, 0, 4]], 1),
    "rows in any order, padded": moved(
        np.pad(X[:, :, [3, 0, 4]], ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=FILL), 1, 0.375
    ),
    "filled": moved(np.pad(X, ((0, 0), (1, 2), (0, 1), (1, 0)), constant_values=FILL), 1, -0.75),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("lanes", [4, 8])
def test_simulation_moves_as_the_golden(name: str, lanes: int) -> None:
    integers = quantised(graph_of(name))
    assert_equals_golden(integers, sequential(integers, lanes, 4))


def graph_of(name: str, clamp: tuple[float, float] = UNBOUNDED) -> TaskGraph:
    """A case behind a convolution."""
    rng = np.random.default_rng(0)
    return chain((3, 5, 4), [conv(rng, 3, 6, kernel=(1, 1)), (CASES[name], {}, clamp)], name="moved")


@pytest.mark.parametrize("name", ["filled", "reflected", "transposed"])
def test_simulation_clamps_what_it_moves(name: str) -> None:
    integers = quantised(graph_of(name, (-0.25, 0.5)))
    assert_equals_golden(integers, sequential(integers, 4, 4))


@pytest.mark.parametrize("name", ["filled", "reflected", "rows in any order, padded"])
def test_qdq_model_moves_as_the_golden(name: str) -> None:
    integers = quantised(graph_of(name, (-0.5, 2.0)))
    assert_exact(integers, stress_inputs(integers))


def test_formats_hold_what_is_filled_in() -> None:
    """The input's samples alone would give it a format that ends far below."""
    rng = np.random.default_rng(0)
    filled = moved(np.pad(X, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=FILL), 1, 40.0)
    integers = quantised(chain((3, 5, 4), [conv(rng, 3, 6, kernel=(1, 1)), (filled, {}, UNBOUNDED)]))
    (task,) = (task for task in integers.tasks if isinstance(task.operator, Move))
    assert task.operator.fill * integers.tensors[task.output].number.scale == 40


def test_moves_become_one_only_if_they_fill_with_the_same() -> None:
    def moves(first: float, second: float) -> int:
        nodes = [
            node("Conv", ["x", "w"], "c"),
            node("Pad", ["c", "above", "first"], "p"),
            node("Pad", ["p", "left", "second"], "y"),
        ]
        constants = {
            "w": random(4, 3, 1, 1),
            "above": [0, 0, 1, 0, 0, 0, 0, 0],
            "left": [0, 0, 0, 1, 0, 0, 0, 0],
            "first": np.float32(first),
            "second": np.float32(second),
        }
        graph = check_import(make_model(nodes, (1, 3, 8, 8), constants))
        return sum(isinstance(task.operator, Move) for task in graph.tasks)

    assert (moves(0.5, 0.5), moves(0.5, 0.25), moves(0.0, 0.0)) == (1, 2, 1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("lanes", "outputs"), [(4, 2), (4, 4), (8, 16), (8, 8)])
def test_attention_scores(lanes: int, outputs: int, bits: int) -> None:
    integers = quantised(attention(7, 5, 2, 6), QuantiseOptions(bits, bits))
    assert_equals_golden(integers, sequential(integers, lanes, outputs))


def attention(tokens: int, keys: int, heads: int, depth: int) -> TaskGraph:
    """Scores of two projected inputs, and their product with the second one: without softmax."""
    rng = np.random.default_rng(1)
    from intarsia.ops.dense import Dense
    from intarsia.task_graph import Parameter

    width = heads * depth
    tensors = {"x": Tensor("x", (1, tokens, width), 2)}
    tasks: list[Task] = []

    def add(name: str, operator, *inputs: str, **parameters: np.ndarray) -> str:
        shape, axis = operator.infer([tensors[i] for i in inputs], parameters)
        tensors[name] = Tensor(name, shape, axis)
        roles = {role: Parameter(values) for role, values in parameters.items()}
        tasks.append(Task(name, operator, inputs, name, roles, UNBOUNDED, (name,)))
        return name

    def heads_of(name: str, source: str, length: int, *, swapped: bool) -> str:
        x = np.arange(length * width).reshape(1, length, heads, depth).transpose(0, 2, 1, 3)
        return add(name, moved(x.swapaxes(2, 3) if swapped else x, 3), source)

    q = add("q", Dense(2), "x", weight=rng.normal(0, 0.4, (width, width)), bias=rng.normal(0, 0.2, width))
    k = add("k", Dense(2), "x", weight=rng.normal(0, 0.4, (width, width)), bias=rng.normal(0, 0.2, width))
    v = add("v", Dense(2), "x", weight=rng.normal(0, 0.4, (width, width)))
    scores = add(
        "scores",
        MatMul(),
        heads_of("qh", q, tokens, swapped=False),
        heads_of("kh", k, tokens, swapped=False),
    )
    mixed = add("mixed", MatMul(), scores, heads_of("vh", v, tokens, swapped=True))
    back = np.arange(tokens * width).reshape(1, heads, tokens, depth).transpose(0, 2, 1, 3)
    joined = add("joined", moved(back.reshape(1, tokens, width), 2), mixed)
    add("y", Dense(2), joined, weight=rng.normal(0, 0.4, (width, width)))
    return TaskGraph("attention", ("x",), ("y",), tensors, tuple(tasks))


@pytest.mark.parametrize("weights", [Weights.PREFETCHED, Weights.LOADED])
def test_phases_without_weights_among_those_with_streamed_ones(weights: Weights) -> None:
    integers = quantised(attention(6, 6, 2, 4))
    assert_equals_golden(integers, replace(sequential(integers, 4, 4, 64), weights=weights))


@pytest.mark.parametrize("outputs", [(4, 4), (4, 8), (8, 4, 4)])
def test_mixed_schedules_share_computed_operands(outputs: tuple[int, ...]) -> None:
    integers = quantised(attention(9, 9, 2, 8))
    schedule = mixed(integers, Engines(outputs, 4), 1 << 20)
    assert any(a.words for phase in schedule.phases for a in phase.assignments)  # some task is shared
    assert_equals_golden(integers, schedule)


@pytest.mark.parametrize("kind", ["Slice", "Transpose", "Reshape"])
def test_a_clamp_behind_a_move_is_part_of_it(kind: str) -> None:
    operands = {"Slice": ["c", "first", "end", "axis"], "Transpose": ["c"], "Reshape": ["c", "shape"]}
    attributes = {"perm": [0, 2, 3, 1]} if kind == "Transpose" else {}
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node(kind, operands[kind], "s", **attributes),
        node("Relu", ["s"], "y"),
        node("Sigmoid", ["s"], "z"),
    ]
    constants = {"w": random(4, 3, 1, 1), "first": [1], "end": [3], "axis": [2], "shape": [1, 8, 4, 8]}
    graph = check_import(make_model(nodes, (1, 3, 8, 8), constants, output=("y", "z")))
    assert {task.operator.name for task in graph.tasks} == {"Conv", "Move", "Sigmoid"}
    assert (0, np.inf) in [task.clamp for task in graph.tasks if isinstance(task.operator, Move)]
    integers = quantised(graph)
    assert_equals_golden(integers, sequential(integers, 4, 4))


def test_lanes_behind_the_last_channel_do_not_count() -> None:
    """Both operands come from tables, which give something else than 0 for the zeros behind the channels."""
    tensors = {name: Tensor(name, (1, 5, 6), 2) for name in ("x", "a", "b")}
    tensors["y"] = Tensor("y", (1, 5, 5), 2)
    tasks = (
        Task("a", Sigmoid(), ("x",), "a"),
        Task("b", Sigmoid(), ("x",), "b"),
        Task("y", MatMul(), ("a", "b"), "y"),
    )
    integers = quantised(TaskGraph("tables", ("x",), ("y",), tensors, tasks))
    assert_equals_golden(integers, sequential(integers, 4, 4))


def test_nothing_to_move_is_refused() -> None:
    constants = {"first": [9], "end": [12], "axis": [2]}
    model = make_model([node("Slice", ["x", "first", "end", "axis"], "y")], (1, 3, 8, 8), constants)
    with pytest.raises(IntarsiaError, match=r"n_y.*shape \(1, 3, 0, 8\), which is empty"):
        import_model(model)

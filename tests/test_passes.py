"""Fusions, each against ONNX Runtime, and that they stop where they must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import chain, conv
from hypothesis import given
from hypothesis import strategies as st
from onnx_models import check, make_model, node, random

from intarsia import passes
from intarsia.frontend import import_model
from intarsia.operator import Operator
from intarsia.ops import OPERATORS
from intarsia.ops.combine import Combine
from intarsia.ops.constant import ConstantTensor
from intarsia.ops.depthwise_conv import DepthwiseConv
from intarsia.ops.function import Function
from intarsia.ops.matmul import MatMul
from intarsia.ops.spectral import SpectralConv, SpectralDense
from intarsia.ops.stencil import Stencil
from intarsia.passes import short_names
from intarsia.passes.fuse_clamp import clamped

INF = np.inf
IMAGE = (1, 3, 8, 8)
W = random(4, 3, 3, 3)
CONV = node("Conv", ["x", "w"], "c")


def batch_norm(source: str, output: str, channels: int) -> tuple:
    """A BatchNormalization node and its constants."""
    values = {f"{output}_{i}": random(channels, seed=i) for i in range(3)}
    values[f"{output}_3"] = np.abs(random(channels, seed=3)) + 0.1
    return node("BatchNormalization", [source, *values], output, epsilon=1e-3), values


BN, BN_VALUES = batch_norm("c", "n", 4)
BACK = {
    "add_vector": ([CONV, node("Add", ["c", "k"], "y")], {"k": random(4, 1, 1)}),
    "add_reversed": ([CONV, node("Add", ["k", "c"], "y")], {"k": random(1, 4, 1, 1)}),
    "add_scalar": ([CONV, node("Add", ["c", "k"], "y")], {"k": 0.5}),
    "sub": ([CONV, node("Sub", ["c", "k"], "y")], {"k": random(4, 1, 1)}),
    "sub_reversed": ([CONV, node("Sub", ["k", "c"], "y")], {"k": random(4, 1, 1)}),
    "mul": ([CONV, node("Mul", ["c", "k"], "y")], {"k": random(4, 1, 1)}),
    "div": ([CONV, node("Div", ["c", "k"], "y")], {"k": 2.0}),
    "batch_norm": ([CONV, BN], BN_VALUES),
    "bias_batch_norm_relu": (
        [CONV, node("Add", ["c", "k"], "a"), batch_norm("a", "n", 4)[0], node("Relu", ["n"], "y")],
        {"k": random(4, 1, 1), **BN_VALUES},
    ),
}


@pytest.mark.parametrize("case", BACK)
def test_affine_folds_into_the_conv_before(case: str) -> None:
    nodes, constants = BACK[case]
    graph = check(make_model(nodes, IMAGE, {"w": W, **constants}))
    (task,) = graph.tasks
    assert task.name == "n_c"
    assert task.output == nodes[-1].output[0]
    assert task.onnx_nodes == tuple(each.name for each in nodes)


def test_batch_norm_folds_into_dense() -> None:
    after, constants = batch_norm("g", "n", 5)
    nodes = [node("Gemm", ["x", "m", "b"], "g"), after, node("Relu", ["n"], "y")]
    assert len(check(make_model(nodes, (1, 6), {"m": random(6, 5), "b": random(5), **constants})).tasks) == 1


@pytest.mark.parametrize(
    ("pads", "folds"), [((0, 0, 0, 0), True), ((1, 1, 1, 1), False)], ids=["unpadded", "padded"]
)
def test_affine_folds_into_the_conv_after(pads: tuple, folds: bool) -> None:
    before, constants = batch_norm("x", "n", 3)
    model = make_model([before, node("Conv", ["n", "w"], "y", pads=pads)], IMAGE, {"w": W, **constants})
    assert [task.name for task in check(model).tasks] == (["n_y"] if folds else ["n_n", "n_y"])


def test_factor_alone_folds_into_a_padded_conv() -> None:
    nodes = [node("Mul", ["x", "k"], "a"), node("Conv", ["a", "w"], "y", pads=[1, 1, 1, 1])]
    assert len(check(make_model(nodes, IMAGE, {"w": W, "k": 1 / 255})).tasks) == 1


def test_affine_folds_forward_through_a_flatten() -> None:
    between, constants = batch_norm("p", "n", 4)
    nodes = [
        CONV,
        node("MaxPool", ["c"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        between,
        node("Flatten", ["n"], "f"),
        node("Gemm", ["f", "m", "b"], "y"),
    ]
    graph = check(make_model(nodes, IMAGE, {"w": W, "m": random(36, 5), "b": random(5), **constants}))
    assert [task.name for task in graph.tasks] == ["n_c", "n_p", "n_y"]
    assert graph.tasks[-1].onnx_nodes == ("n_n", "n_f", "n_y")


def test_affine_between_two_readers_folds_forward_into_both() -> None:
    shared, constants = batch_norm("r", "n", 4)
    nodes = [
        CONV,
        node("Relu", ["c"], "r"),
        shared,
        node("Conv", ["n", "v"], "y"),
        node("Conv", ["n", "u"], "z"),
    ]
    constants |= {"w": W, "v": random(2, 4, 3, 3), "u": random(2, 4, 1, 1)}
    graph = check(make_model(nodes, IMAGE, constants, output=["y", "z"]))
    assert [task.name for task in graph.tasks] == ["n_c", "n_y", "n_z"]


CLAMPED = {
    "conv": ([CONV], "c", {"w": W}),
    "max_pool": ([node("MaxPool", ["x"], "c", kernel_shape=[2, 2])], "c", {}),
    "average_pool": ([node("AveragePool", ["x"], "c", kernel_shape=[2, 2])], "c", {}),
    "global_average_pool": ([node("GlobalAveragePool", ["x"], "c")], "c", {}),
}


@pytest.mark.parametrize("case", CLAMPED)
def test_clamp_fuses(case: str) -> None:
    nodes, last, constants = CLAMPED[case]
    nodes = [*nodes, node("Relu", [last], "r"), node("Clip", ["r", "low", "high"], "y")]
    graph = check(make_model(nodes, IMAGE, {"low": -0.5, "high": 0.25, **constants}))
    assert [(task.clamp, task.output) for task in graph.tasks] == [((0, 0.25), "y")]


def test_clamp_does_not_fuse_where_the_unclamped_result_is_needed() -> None:
    nodes = [CONV, node("Relu", ["c"], "y")]
    graph = check(make_model(nodes, IMAGE, {"w": W}, output=["c", "y"]))
    assert [(task.operator.name, task.clamp) for task in graph.tasks] == [
        ("Conv", (-INF, INF)),
        ("Move", (-INF, INF)),  # the output, beside what is kept of it
        ("AveragePool", (0, INF)),
    ]
    nodes = [CONV, node("Relu", ["c"], "r"), node("Conv", ["r", "v"], "y"), node("Conv", ["c", "v"], "z")]
    graph = check(make_model(nodes, IMAGE, {"w": W, "v": random(2, 4, 3, 3)}, output=["y", "z"]))
    assert [task.operator.name for task in graph.tasks] == ["Conv", "AveragePool", "Conv", "Conv"]


def test_affine_that_nothing_takes_becomes_a_product_per_channel() -> None:
    nodes = [CONV, node("Relu", ["c"], "r"), node("Add", ["r", "k"], "a"), node("Relu", ["a"], "y")]
    graph = check(make_model(nodes, IMAGE, {"w": W, "k": random(4, 1, 1)}))
    assert [(task.name, task.operator.name, task.clamp) for task in graph.tasks] == [
        ("n_c", "Conv", (0, INF)),
        ("n_a", "DepthwiseConv", (0, INF)),
    ]
    graph = check(make_model([node("Mul", ["x", "k"], "y")], (1, 7, 6), {"k": random(6)}))
    assert [task.operator.name for task in graph.tasks] == ["Dense"]


def test_affine_of_too_many_channels_for_a_diagonal() -> None:
    graph = check(make_model([node("Mul", ["x", "k"], "y")], (1, 300), {"k": 2.0}))
    assert [task.operator.name for task in graph.tasks] == ["Constant", "Mul"]


def test_two_heads_share_a_flatten() -> None:
    nodes = [
        node("Relu", ["x"], "r"),
        node("Flatten", ["r"], "f"),
        node("Gemm", ["f", "m"], "y"),
        node("Gemm", ["f", "n"], "z"),
    ]
    constants = {"m": random(192, 5), "n": random(192, 2)}
    graph = check(make_model(nodes, IMAGE, constants, output=["y", "z"]))
    assert [(task.name, task.inputs) for task in graph.tasks] == [
        ("n_r", ("x",)),
        ("n_y", ("r",)),
        ("n_z", ("r",)),
    ]
    assert graph.tasks[1].onnx_nodes == ("n_f", "n_y")


def test_flatten_that_is_also_an_output_is_a_move() -> None:
    nodes = [node("Relu", ["x"], "r"), node("Flatten", ["r"], "f"), node("Gemm", ["f", "m"], "y")]
    model = make_model(nodes, IMAGE, {"m": random(192, 5)}, output=["f", "y"])
    graph = passes.run(import_model(model).graph)
    assert graph.producers["f"].operator.name == "Move"


def test_no_ops_vanish_and_outputs_keep_their_names() -> None:
    nodes = [
        node("Gemm", ["x", "m"], "g"),
        node("Mul", ["g", "one"], "a"),
        node("Reshape", ["a", "s"], "b"),
        node("Clip", ["b"], "c"),
        node("Add", ["c", "zero"], "y"),
    ]
    graph = check(make_model(nodes, (1, 6), {"m": random(6, 5), "one": 1.0, "zero": 0.0, "s": [1, 5]}))
    assert [(task.name, task.output) for task in graph.tasks] == [("n_g", "y")]


def test_passes_change_nothing_the_second_time() -> None:
    nodes, constants = BACK["bias_batch_norm_relu"]
    graph = passes.run(import_model(make_model(nodes, IMAGE, {"w": W, **constants})).graph)
    again = passes.run(graph)
    assert [(t.name, t.output, t.clamp) for t in again.tasks] == [
        (t.name, t.output, t.clamp) for t in graph.tasks
    ]


bounds = st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(sorted).map(tuple)


@given(first=bounds, second=bounds, x=st.floats(-5, 5))
def test_two_clamps_are_one(first: tuple, second: tuple, x: float) -> None:
    assert np.clip(x, *clamped(first, second)) == np.clip(np.clip(x, *first), *second)


def test_operators_have_hardware_or_say_where_they_may_be() -> None:
    for operator in OPERATORS:
        made_otherwise = issubclass(
            operator,
            Combine
            | ConstantTensor
            | Function
            | DepthwiseConv
            | MatMul
            | SpectralConv
            | SpectralDense
            | Stencil,
        )  # of other operators
        assert operator.onnx_types or made_otherwise
        assert bool(operator.transient) == (operator.work is Operator.work)


def test_long_names_become_readable_and_distinct() -> None:
    rng = np.random.default_rng(0)
    graph = chain(
        (2, 8, 8),
        [conv(rng, 2, 2, kernel=(3, 3)), conv(rng, 2, 2, kernel=(3, 3)), conv(rng, 2, 2, kernel=(3, 3))],
    )
    names = ("model/conv2d/BiasAdd;model/conv2d/Conv2D", "conv1", "a" * 40)
    named = graph.with_tasks(tuple(replace(t, name=n) for t, n in zip(graph.tasks, names, strict=True)))
    assert [task.name for task in short_names.apply(named).tasks] == ["conv2", "conv1", "conv3"]

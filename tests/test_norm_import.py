"""Softmax and layer normalisation as exporters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graphs import quantised
from machines import assert_equals_golden, pure_schedule
from onnx_models import check, make_model, node, random

from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.onnx_graph.constant_folding import shapes_of
from intarsia.onnx_graph.decomposed_norm import fuse_norms
from intarsia.onnx_graph.normalise import normalise
from intarsia.operator import Operator
from intarsia.ops.layer_norm import LayerNormalization, RMSNormalization
from intarsia.ops.log_softmax import LogSoftmax
from intarsia.ops.softmax import Softmax

DATA = Path(__file__).parents[2] / "shared" / "data"
X = ("N", 5, 6)
AFFINE = {"g": random(6) + 2, "b": random(6, seed=1)}
CONSTANTS = AFFINE | {"two": np.float32(2), "one": np.float32(1), "eps": np.float32(1e-3)}


def centring() -> list[onnx.NodeProto]:
    """d = x - mean(x)."""
    return [node("ReduceMean", ["x"], "m", axes=[-1]), node("Sub", ["x", "m"], "d")]


def root(of: str, square: onnx.NodeProto | None = None) -> list[onnx.NodeProto]:
    """r = sqrt(mean(of ** 2) + eps)."""
    return [
        square or node("Pow", [of, "two"], "p"),
        node("ReduceMean", ["p"], "v", axes=[2]),
        node("Add", ["v", "eps"], "a"),
        node("Sqrt", ["a"], "r"),
    ]


CASES: dict[str, tuple[list[onnx.NodeProto], type[Operator]]] = {
    "layer norm": ([node("LayerNormalization", ["x", "g", "b"], "y", epsilon=1e-3)], LayerNormalization),
    "no bias": ([node("LayerNormalization", ["x", "g"], "y", axis=2)], LayerNormalization),
    "torch": (
        [
            *centring(),
            *root("d"),
            node("Div", ["d", "r"], "z"),
            node("Mul", ["z", "g"], "s"),
            node("Add", ["s", "b"], "y"),
        ],
        LayerNormalization,
    ),
    "two differences": (
        [
            *centring(),
            *root("d", node("Mul", ["d", "d"], "p")),
            node("Sub", ["x", "m"], "e"),
            node("Div", ["e", "r"], "z"),
            node("Mul", ["g", "z"], "s"),
            node("Add", ["b", "s"], "y"),
        ],
        LayerNormalization,
    ),
    "no affine": ([*centring(), *root("d"), node("Div", ["d", "r"], "y")], LayerNormalization),
    "reciprocal": (
        [
            *centring(),
            *root("d"),
            node("Reciprocal", ["r"], "i"),
            node("Mul", ["i", "d"], "z"),
            node("Mul", ["z", "g"], "y"),
        ],
        LayerNormalization,
    ),
    "root mean square": (
        [
            *root("x"),
            node("Div", ["one", "r"], "i"),
            node("Mul", ["x", "i"], "z"),
            node("Mul", ["z", "g"], "y"),
        ],
        RMSNormalization,
    ),
    "softmax": ([node("Softmax", ["x"], "s"), node("Relu", ["s"], "y")], Softmax),
    "softmax of images": ([node("LogSoftmax", ["x"], "s", axis=-1), node("Abs", ["s"], "y")], LogSoftmax),
}


@pytest.mark.parametrize("case", CASES)
def test_import(case: str) -> None:
    nodes, kind = CASES[case]
    graph = check(make_model(nodes, X, CONSTANTS))
    assert type(graph.tasks[0].operator) is kind
    if kind in (LayerNormalization, RMSNormalization):
        assert len(graph.tasks) == 1
        assert graph.tasks[0].onnx_nodes[-1] == "n_y"
        assert set(graph.tasks[0].onnx_nodes) == {each.name for each in nodes}


def test_a_norm_after_a_layer_is_one_task_each() -> None:
    nodes, _ = CASES["torch"]
    first = node("MatMul", ["u", "w"], "x")
    last = node("MatMul", ["y", "w"], "q")
    model = make_model([first, *nodes, last], X, CONSTANTS | {"w": random(6, 6)})
    model.graph.input[0].name = "u"
    assert [task.operator.name for task in check(model).tasks] == ["Dense", "LayerNormalization", "Dense"]


@pytest.mark.parametrize("needed", ["d", "v", "r", "z"])
def test_inner_results_that_are_needed_stay(needed: str) -> None:
    nodes, _ = CASES["torch"]
    model = make_model(nodes, X, CONSTANTS)
    normalise(model)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kept, members = fuse_norms(list(model.graph.node), constants, shapes_of(model.graph), ("y", needed))
    made = {each.output[0] for each in kept}
    assert needed in made
    assert (members == {}) == (needed != "z")  # z itself is a norm without gamma


def test_a_model_of_others() -> None:
    source = DATA / "makemore_gpt2_op14.onnx"
    if not source.is_file():
        pytest.skip(f"there is no {source}")
    model = onnx.shape_inference.infer_shapes(onnx.load(source))
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer} | {
        each.output[0]: onnx.numpy_helper.to_array(each.attribute[0].t)
        for each in model.graph.node
        if each.op_type == "Constant"
    }
    outputs = [value.name for value in model.graph.output]
    kept, members = fuse_norms(list(model.graph.node), constants, shapes_of(model.graph), outputs)
    roots = sum(each.op_type == "Sqrt" for each in model.graph.node)
    assert roots == len(members) > 4
    assert not any(each.op_type == "Sqrt" for each in kept)
    assert all(each.input[1] and each.input[2] for each in kept if each.op_type == "LayerNormalization")


REFUSED: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], str]] = {
    "further result": (
        [
            onnx.helper.make_node("LayerNormalization", ["x", "g"], ["y", "mean"], name="n_y"),
            node("Mul", ["y", "mean"], "q"),
        ],
        {"g": random(6)},
        "further result",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    nodes, constants, message = REFUSED[case]
    with pytest.raises(IntarsiaError, match=message):
        import_model(make_model(nodes, X, constants))


ALONG_OTHER_AXES = {
    "softmax of rows": ([node("Softmax", ["x"], "s", axis=1), node("Abs", ["s"], "y")], X),
    "softmax of an image": ([node("Softmax", ["x"], "s", axis=2), node("Abs", ["s"], "y")], ("N", 3, 4, 6)),
    "norm of an image": (
        [node("LayerNormalization", ["x", "g"], "s"), node("Abs", ["s"], "y")],
        ("N", 3, 4, 6),
    ),
}


@pytest.mark.parametrize("case", ALONG_OTHER_AXES)
def test_along_other_axes_a_move_comes_before(case: str) -> None:
    nodes, shape = ALONG_OTHER_AXES[case]
    graph = check(make_model(nodes, shape, {"g": random(6)}))
    assert [task.operator.name for task in graph.tasks][:2] == ["Move", nodes[0].op_type]
    integers = quantised(graph)
    assert_equals_golden(integers, pure_schedule(integers, "sequential", 4, 4))


def test_softmax_before_opset_13() -> None:
    nodes = [node("Softmax", ["x"], "s", axis=2), node("Relu", ["s"], "y")]
    assert check(make_model(nodes, X, opset=12)).tasks[0].operator == Softmax(2, 6)
    with pytest.raises(IntarsiaError, match="before opset 13 it works over all axes from 1 on"):
        import_model(make_model([node("Softmax", ["x"], "s"), node("Relu", ["s"], "y")], X, opset=12))


def test_rows_that_are_too_long_are_refused() -> None:
    from intarsia.quantise import QuantiseOptions

    graph = check(
        make_model([node("LayerNormalization", ["x", "g"], "y")], ("N", 2, 80000), {"g": random(80000)})
    )
    with pytest.raises(IntarsiaError, match=r"rows of 80000 elements .* 61 are allowed"):
        quantised(graph, QuantiseOptions(8, 16))

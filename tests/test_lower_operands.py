"""Broadcasting, chains of operands, selections and reductions: like ONNX Runtime, and bit for bit in hardware."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graphs import quantised, stress_inputs
from machines import assert_equals_golden
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_qdq import assert_exact

from intarsia import golden, passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.pure import sequential
from intarsia.task_graph import TaskGraph

MATRIX = (1, 6, 5)
SIGMOID = node("Sigmoid", ["x"], "s")
CASES = {
    "channel_gate": (
        [
            node("Conv", ["x", "w"], "a"),
            node("GlobalAveragePool", ["a"], "g"),
            node("Mul", ["a", "g"], "y"),
        ],
        (1, 3, 6, 5),
        {"w": random(5, 3, 3, 3)},
    ),
    "both_broadcast": (
        [
            node("ReduceMean", ["x"], "a", axes=[1]),
            node("ReduceMean", ["x"], "b", axes=[2]),
            node("Add", ["a", "b"], "y"),
        ],
        MATRIX,
        {},
    ),
    "lower_rank": (
        [
            node("ReduceMean", ["x"], "a", axes=[1, 3], keepdims=0),
            node("Add", ["x", "a"], "y"),
        ],
        (1, 3, 1, 5),
        {},
    ),
    "sum": (
        [SIGMOID, node("Relu", ["x"], "r"), node("Sum", ["x", "c", "s", "d", "r"], "y")],
        MATRIX,
        {"c": random(6, 5), "d": random(5)},
    ),
    "mean": ([SIGMOID, node("Exp", ["x"], "e"), node("Mean", ["x", "s", "e"], "y")], MATRIX, {}),
    "sum_of_one": ([SIGMOID, node("Sum", ["s"], "y")], MATRIX, {}),
    "max": ([SIGMOID, node("Max", ["x", "s", "c"], "y")], MATRIX, {"c": random(6, 1)}),
    "min_of_a_number": ([node("Min", ["c", "x"], "y")], (1, 3, 4, 5), {"c": 0.25}),
    "where_constant": (
        [node("Where", ["c", "x", "d"], "y")],
        MATRIX,
        {"c": random(6, 5) > 0, "d": random(5)},
    ),
    "where_computed": (
        [
            node("ReduceMax", ["x"], "m", axes=[2]),
            node("Where", ["c", "m", "x"], "y"),
        ],
        MATRIX,
        {"c": random(6, 5) > 0},
    ),
    "triangle": ([node("Trilu", ["x", "k"], "y", upper=0)], (1, 2, 5, 5), {"k": np.array(1)}),
    "quotient": (
        [
            node("Exp", ["x"], "e"),
            node("ReduceMean", ["e"], "m", axes=[-1]),
            node("Div", ["e", "m"], "y"),
        ],
        MATRIX,
        {},
    ),
    "quotient_of_a_constant": (
        [node("Exp", ["x"], "e"), node("Div", ["c", "e"], "y")],
        MATRIX,
        {"c": random(6, 5)},
    ),
    "constant_matrix_first": ([node("MatMul", ["c", "x"], "y")], MATRIX, {"c": random(4, 6)}),
    "more_batches": ([node("MatMul", ["x", "c"], "y")], (1, 1, 6, 5), {"c": random(3, 5, 4)}),
    **{
        f"{name}_{'_'.join(map(str, axes))}": (
            [node(name, ["x"], "y", axes=axes, keepdims=number % 2)],
            (1, 3, 4, 5),
            {},
        )
        for name in ("ReduceMean", "ReduceMax", "ReduceMin")
        for number, axes in enumerate([[1], [2], [-1], [1, 2], [1, 3], [2, 3], [1, 2, 3]])
    },
    **{
        f"ReduceSum_{'_'.join(map(str, axes))}": (
            [node("ReduceSum", ["x", "a"], "y", keepdims=number % 2)],
            (1, 3, 4, 5),
            {"a": np.array(axes)},
        )
        for number, axes in enumerate([[1], [2], [-1], [1, 3], [3, 2, 1]])
    },
    "l1": ([node("ReduceL1", ["x"], "y", axes=[2])], MATRIX, {}),
    "l2": ([node("ReduceL2", ["x"], "y", axes=[1], keepdims=0)], MATRIX, {}),
    "sum_of_squares": ([node("ReduceSumSquare", ["x"], "y", axes=[1, 2])], MATRIX, {}),
    "log_sum_exp": ([node("ReduceLogSumExp", ["x"], "y", axes=[2])], MATRIX, {}),
}


def prepared(model: onnx.ModelProto) -> TaskGraph:
    """The graph after the passes, which gives what the model gave before anything was replaced."""
    graph = check_import(model)
    inputs = {name: random(*graph.tensors[name].shape, seed=5) for name in graph.inputs}
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    own = {name: values.reshape(shapes[name]) for name, values in inputs.items()}  # some are taken as images
    expected = ReferenceEvaluator(model).run(None, own)[0]
    got = golden.run_float(graph, {name: values[np.newaxis] for name, values in inputs.items()})
    np.testing.assert_allclose(got[graph.outputs[0]].reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)
    return graph


@pytest.mark.parametrize("case", CASES)
def test_simulation_and_onnx_runtime_equal_the_golden(case: str) -> None:
    nodes, shape, constants = CASES[case]
    integers = quantised(prepared(make_model(nodes, shape, constants)))
    assert_exact(integers, stress_inputs(integers))
    assert_equals_golden(integers, sequential(integers, 4, 4))


FURTHER = {
    "clamp_of_the_input": ([node("Relu", ["x"], "y")], MATRIX, {}),
    "factor_per_row": ([node("Mul", ["x", "c"], "y")], MATRIX, {"c": random(6, 1)}),
    "many_channels": (
        [node("Mul", ["x", "c"], "a"), node("Relu", ["a"], "b"), node("Add", ["b", "d"], "y")],
        (1, 3, 300),
        {"c": random(300), "d": random(300, seed=1)},
    ),
    "vector": ([node("MatMul", ["x", "v"], "y")], MATRIX, {"v": random(5)}),
}


@pytest.mark.parametrize("case", FURTHER)
@pytest.mark.parametrize("bits", [8, 16])
def test_further_operators_in_hardware(case: str, bits: int) -> None:
    nodes, shape, constants = FURTHER[case]
    integers = quantised(prepared(make_model(nodes, shape, constants)), QuantiseOptions(8, bits))
    assert_equals_golden(integers, sequential(integers, 8, 4))


def model_of_inputs(
    one: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], opset: int = 17
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([one], "inputs", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.mark.parametrize(
    ("op", "first", "second"),
    [
        ("Add", (1, 3, 4, 5), (1, 3, 4, 5)),
        ("Sub", (1, 3, 4, 5), (1, 1, 5)),
        ("MatMul", (1, 2, 4, 5), (1, 2, 5, 6)),
        ("MatMul", (1, 2, 4, 5), (1, 1, 5, 6)),
    ],
)
def test_two_inputs_of_the_model_at_once(op: str, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    model = model_of_inputs(node(op, ["a", "b"], "y"), {"a": first, "b": second})
    integers = quantised(prepared(model))
    assert_equals_golden(integers, sequential(integers, 4, 4))


def attention(shapes: list[tuple[int, ...]], **attributes: object) -> onnx.ModelProto:
    names = ("q", "k", "v", "m")[: len(shapes)]
    one = helper.make_node("Attention", names, ["y"], name="n_y", **attributes)
    return model_of_inputs(one, dict(zip(names, shapes, strict=True)), opset=23)


ROWS, SMALL, KEYS = (1, 4, 6), (1, 2, 4, 3), (1, 2, 5, 3)
ATTENTION = {
    "rows": attention([ROWS, (1, 5, 6), (1, 5, 8)], q_num_heads=2, kv_num_heads=2),
    "heads": attention([SMALL, KEYS, (1, 2, 5, 4)]),
    "causal": attention([SMALL, KEYS, KEYS], is_causal=1),
    "groups": attention([(1, 4, 4, 3), KEYS, KEYS], scale=0.3),
    "capped": attention([SMALL, KEYS, KEYS], softcap=2.0),
    "added": attention([SMALL, KEYS, KEYS, (1, 1, 4, 5)]),
}


@pytest.mark.parametrize("case", ATTENTION)
def test_attention(case: str) -> None:
    integers = quantised(prepared(ATTENTION[case]))
    assert_equals_golden(integers, sequential(integers, 4, 4))


HIDDEN = {
    "causal": np.tri(4, 5, dtype=bool),
    "later": np.tri(4, 5, 1, dtype=bool),
    "padding": np.arange(5) < 3,
    "nothing": np.ones((4, 5), dtype=bool),
}


@pytest.mark.parametrize("seen", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("chosen", [True, False])
def test_masks_of_scores(seen: np.ndarray, chosen: bool) -> None:
    masked = node("Where", ["c", "x", "low"], "m") if chosen else node("Add", ["x", "c"], "m")
    constants = {"c": seen, "low": -np.inf} if chosen else {"c": np.where(seen, 0.0, -np.inf)}
    nodes = [masked, node("Softmax", ["m"], "s", axis=-1), node("Mul", ["s", "x"], "y")]
    graph = prepared(make_model(nodes, (1, 2, 4, 5), constants))
    assert_equals_golden(integers := quantised(graph), sequential(integers, 4, 4))


@pytest.mark.parametrize("seen", [~np.eye(4, 5, dtype=bool), np.arange(5) > 1, np.tri(4, 5, -1, dtype=bool)])
def test_other_masks_of_scores_are_refused(seen: np.ndarray) -> None:
    nodes = [node("Where", ["c", "x", "low"], "m"), node("Softmax", ["m"], "s"), node("Mul", ["s", "x"], "y")]
    model = make_model(nodes, (1, 2, 4, 5), {"c": seen, "low": -np.inf})
    with pytest.raises(IntarsiaError, match=r"n_m.*neither causal nor the same for all rows"):
        passes.run(import_model(model).graph)


@pytest.mark.parametrize(
    "exponents", [[[2.0], [0.5], [3.0]], [2.0, 0.0, 1.0, 3.0, -1.0]], ids=["rows", "columns"]
)
def test_several_exponents(exponents: list) -> None:
    """Of values above 0; elsewhere their root would be no number."""
    nodes = [node("Softplus", ["x"], "p"), node("Pow", ["p", "e"], "y")]
    integers = quantised(prepared(make_model(nodes, (1, 3, 5), {"e": np.array(exponents)})))
    assert_equals_golden(integers, sequential(integers, 4, 4))


def test_many_exponents_are_refused() -> None:
    model = make_model([node("Pow", ["x", "e"], "y")], MATRIX, {"e": random(6, 5)})
    with pytest.raises(IntarsiaError, match=r"n_y.*30 different values\. Supported: up to 8"):
        import_model(model)


@pytest.mark.parametrize(
    ("operands", "results", "attributes", "message"),
    [
        (["q", "q", "q", "", "q", "q"], ["y"], {}, "n_y.*past_key"),
        (
            ["q", "q", "q"],
            ["y", "", "", "scores"],
            {"is_causal": 1, "qk_matmul_output_mode": 2},
            "n_y.*'scores' shows the minus infinity",
        ),
    ],
)
def test_attention_that_is_refused(operands: list, results: list, attributes: dict, message: str) -> None:
    one = helper.make_node("Attention", operands, results, name="n_y", **attributes)
    model = model_of_inputs(one, {"q": SMALL}, opset=23)
    if len(results) > 1:
        model.graph.output.append(helper.make_tensor_value_info(results[-1], TensorProto.FLOAT, None))
    with pytest.raises(IntarsiaError, match=message):
        import_model(model)


def test_outputs_that_are_read_as_well() -> None:
    """A copy on chip for the readers, whatever the schedule; the float model has it too."""
    nodes = [node("MatMul", ["x", "m"], "a"), node("Relu", ["a"], "r"), node("MatMul", ["r", "m"], "y")]
    model = make_model(nodes, (1, 4, 6), {"m": random(6, 6)}, output=["a", "y", "r"])
    graph = prepared(model)
    assert graph.outputs == ("a", "y", "r")
    assert not any(graph.consumers[name] for name in graph.outputs)
    assert_equals_golden(integers := quantised(graph), sequential(integers, 4, 4))
    shown = add_moved_tensors(import_model(model).model, graph)
    assert {name for each in shown.graph.node for name in each.output} >= graph.tensors.keys() - {"x"}


def test_the_largest_at_the_end_is_left_to_the_host() -> None:
    model = make_model(
        [node("MatMul", ["x", "m"], "a"), node("ArgMax", ["a"], "y", axis=1)], (1, 5), {"m": random(5, 6)}
    )
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    imported = import_model(model)
    assert imported.host_tail == ("ArgMax n_y",)
    assert imported.graph.outputs == ("a",)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("ReduceMean", ["x"], "y", axes=[0])], {}, "n_y.*reduces axis 0 of 'x' .*the batch"),
        ([node("ReduceMax", ["x"], "y")], {}, "reduces axis 0"),
        ([node("Greater", ["x", "z"], "g"), node("Where", ["g", "x", "x"], "y")], {"z": 0.0}, "Greater.*n_g"),
    ],
)
def test_refused(nodes: list, constants: dict, message: str) -> None:
    with pytest.raises(IntarsiaError, match=message):
        import_model(make_model(nodes, MATRIX, constants))

"""Models as exporters write them: flattening, opsets, batches, constants, names, the host's last nodes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from import_models import FLATTENS, IMAGE, NEWEST, M, W, conv_net
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import check, make_model, node, random, run_onnxruntime

from intarsia import golden, passes
from intarsia.frontend import import_model


@pytest.mark.parametrize("case", FLATTENS)
def test_flatten_styles(case: str) -> None:
    flatten, constants = FLATTENS[case]
    graph = check(conv_net(flatten, constants))
    assert [task.operator.name for task in graph.tasks] == ["Conv", "MaxPool", "Dense"]
    assert graph.tasks[0].clamp == (0, np.inf)


@pytest.mark.skipif(NEWEST < 28, reason="SpaceToDepth has modes since opset 28")
@pytest.mark.parametrize("mode", ["DCR", "CRD", None])
def test_newest_operators_that_older_runtimes_know(mode: str | None) -> None:
    attributes = {} if mode is None else {"mode": mode}
    nodes = [node("SpaceToDepth", ["x"], "d", blocksize=2, **attributes), node("Relu", ["d"], "y")]
    model = make_model(nodes, (1, 3, 4, 6), opset=28)
    imported = import_model(model)
    assert max(entry.version for entry in imported.model.opset_import) <= 17
    x = random(1, 3, 4, 6)
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    found = golden.run_float(passes.run(imported.graph), {"x": x[np.newaxis]})["y"]
    np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 13, 17, 21, 22, NEWEST])
def test_opsets(opset: int) -> None:
    check(conv_net([node("Dropout", ["p"], "d"), node("Flatten", ["d"], "f")], opset=opset))


@pytest.mark.parametrize("shape", [("N", 3, 8, 8), (None, 3, 8, 8), (1, 3, 8, 8), (4, 3, 8, 8)])
def test_batch_sizes(shape) -> None:
    imported = import_model(conv_net([node("Flatten", ["p"], "f")], input_shape=shape))
    assert imported.graph.tensors["x"].shape == (1, 3, 8, 8)
    assert (any("batch size of 4" in note for note in imported.notes)) == (shape[0] == 4)


@pytest.mark.parametrize("target", [[4, 36], [4, -1], [-1, 36], [4, 4, 9]])
def test_fixed_batch_in_reshape(target: list[int]) -> None:
    flatten = [node("Reshape", ["p", "s"], "q"), node("Flatten", ["q"], "f")]
    graph = check(conv_net(flatten, {"s": target}, input_shape=(4, 3, 8, 8)))
    assert graph.tensors["y"].shape == (1, 10)


def test_parameters_as_inputs_like_cntk() -> None:
    model = conv_net([node("Flatten", ["p"], "f")], opset=8)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert check(model).inputs == ("x",)


def test_flat_input_that_becomes_an_image() -> None:
    nodes = [node("Reshape", ["x", "s"], "i"), node("Conv", ["i", "w"], "y")]
    model = make_model(nodes, ("N", 64), {"s": [-1, 1, 8, 8], "w": random(4, 1, 3, 3)})
    graph = check(model)
    assert graph.tensors["x"].shape == (1, 1, 8, 8)
    assert "taken in shape (1, 1, 8, 8)" in import_model(model).notes[-1]


def test_channels_last_input_of_one_channel_like_tf2onnx() -> None:
    nodes = [node("Transpose", ["x"], "i", perm=[0, 3, 1, 2]), node("Conv", ["i", "w"], "y")]
    graph = check(make_model(nodes, ("N", 8, 8, 1), {"w": random(4, 1, 3, 3)}))
    assert graph.tensors["x"].shape == (1, 1, 8, 8)


@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax"])
def test_softmax_at_the_end_is_left_to_the_host(last: str) -> None:
    nodes = [node("Gemm", ["x", "m"], "logits"), node(last, ["logits"], "y", axis=1)]
    imported = import_model(make_model(nodes, (1, 6), {"m": M}))
    assert imported.host_tail == (f"{last} n_y",)
    assert imported.graph.outputs == ("logits",)
    assert [value.name for value in imported.model.graph.output] == ["y"]


def test_softmax_of_logits_that_are_an_output_too() -> None:
    nodes = [node("Gemm", ["x", "m"], "logits"), node("Softmax", ["logits"], "y")]
    imported = import_model(make_model(nodes, (1, 6), {"m": M}, output=["y", "logits"]))
    assert imported.graph.outputs == ("logits",)


def test_flatten_at_the_end_is_left_to_the_host() -> None:
    nodes = [node("GlobalAveragePool", ["x"], "a"), node("Flatten", ["a"], "f"), node("Softmax", ["f"], "y")]
    imported = import_model(make_model(nodes, (1, 3, 4, 4)))
    assert imported.host_tail == ("Flatten n_f", "Softmax n_y")
    assert passes.run(imported.graph).outputs == ("a",)


def test_channels_of_inputs_that_only_products_of_matrices_read() -> None:
    nodes = [
        node("Transpose", ["x"], "a", perm=[0, 2, 1, 3]),
        node("Transpose", ["x"], "b", perm=[0, 2, 3, 1]),
        node("MatMul", ["a", "b"], "y"),
    ]
    assert check(make_model(nodes, (1, 5, 2, 6))).tensors["x"].channel_axis == 3
    moved = [node("Transpose", ["x"], "a", perm=[0, 1, 3, 2]), node("Conv", ["a", "w"], "y")]
    assert check(make_model(moved, IMAGE, {"w": W})).tensors["x"].channel_axis == 1


def test_identities_are_removed_and_output_names_kept() -> None:
    nodes = [
        node("Identity", ["x"], "i"),
        node("Gemm", ["i", "m"], "g"),
        node("Cast", ["g"], "c", to=TensorProto.FLOAT),
        node("Identity", ["c"], "y"),
    ]
    graph = check(make_model(nodes, (1, 6), {"m": M}))
    assert [(task.inputs, task.output) for task in graph.tasks] == [(("x",), "y")]


def test_unused_inputs_and_dead_nodes_are_dropped() -> None:
    model = make_model(
        [node("Relu", ["x"], "dead"), node("Gemm", ["x", "m"], "y")], (1, 6), {"m": M, "z": M}, output="y"
    )
    model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, (1, 3)))
    imported = import_model(model)
    assert imported.graph.inputs == ("x",)
    assert [tensor.name for tensor in imported.model.graph.initializer] == ["m"]
    assert "'extra' is not used" in imported.notes[-1]


def test_unsorted_and_unnamed_nodes() -> None:
    model = conv_net([node("Flatten", ["p"], "f")])
    nodes = list(model.graph.node)[::-1]
    for each in nodes:
        each.name = ""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert [task.name for task in check(model).tasks] == ["conv1", "maxpool1", "dense1"]


def test_repeated_node_names_become_unique() -> None:
    nodes = [node("Gemm", ["x", "m"], "a"), node("Gemm", ["a", "n"], "y")]
    for each in nodes:
        each.name = "fc"
    assert [task.name for task in check(make_model(nodes, (1, 6), {"m": M, "n": random(5, 2)})).tasks] == [
        "fc",
        "dense1",
    ]


def test_weights_through_nodes_are_folded() -> None:
    nodes = [
        node("Reshape", ["m", "s"], "m1"),
        node("Transpose", ["m1"], "m2", perm=[1, 0]),
        node("MatMul", ["x", "m2"], "y"),
    ]
    assert len(check(make_model(nodes, (1, 5), {"m": random(3, 2, 5), "s": [6, 5]})).tasks) == 1


def test_local_functions_are_inlined() -> None:
    body = [helper.make_node("MatMul", ["a", "b"], ["c"], name="inner")]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "Linear", ["a", "b"], ["c"], body, opsets)
    model = make_model(
        [helper.make_node("Linear", ["x", "m"], ["y"], name="outer", domain="local")], (1, 6), {"m": M}
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    assert len(check(model).tasks) == 1


@pytest.mark.parametrize(
    ("elements", "kind"), [(TensorProto.DOUBLE, "float64"), (TensorProto.FLOAT16, "float16")]
)
def test_other_floats_become_float32(elements: int, kind: str) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(elements)
    model = make_model(
        [node("Conv", ["x", "w"], "c"), node("Relu", ["c"], "y")], (1, 3, 6, 6), elements=elements
    )
    model.graph.initializer.append(numpy_helper.from_array(W.astype(dtype), "w"))
    assert f"{kind} became float32" in import_model(model).notes
    check(model)


@pytest.mark.parametrize("case", FLATTENS)
@pytest.mark.parametrize("batch", ["N", 4])
def test_the_normalised_model_takes_batches(case: str, batch: int | str) -> None:
    flatten, constants = FLATTENS[case]
    model = import_model(conv_net(flatten, constants, input_shape=(batch, 3, 8, 8))).model
    x = random(5, 3, 8, 8)
    names = ["c", "y"]
    together = run_onnxruntime(model, {"x": x}, names)
    for i in range(5):
        alone = run_onnxruntime(model, {"x": x[i : i + 1]}, names)
        np.testing.assert_allclose(together["y"][i], alone["y"][0], rtol=1e-5, atol=1e-5)


def test_the_users_model_stays_as_it_is() -> None:
    model = conv_net(*FLATTENS["shape_chain"], input_shape=(4, 3, 8, 8))
    before = copy.deepcopy(model)
    import_model(model)
    assert model.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)


def test_normalised_model_agrees_with_the_original() -> None:
    model = conv_net(*FLATTENS["shape_chain"])
    x = {"x": random(1, 3, 8, 8)}
    expected = run_onnxruntime(model, x, ["y"])["y"]
    np.testing.assert_array_equal(run_onnxruntime(import_model(model).model, x, ["y"])["y"], expected)

"""Models that are not valid, or that no hardware can be made of: one error with node or tensor, what is allowed, and a next step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import Shape, make_model, node, random
from refusals import assert_refused

from intarsia.frontend import import_model

WEIGHT = random(4, 1, 3, 3)


def with_nodes(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    """A convolution `c` of the image `x`, and these nodes."""
    return make_model([node("Conv", ["x", "w"], "c"), *nodes], (1, 1, 8, 8), {"w": WEIGHT, **constants})


def cast_of_nan() -> onnx.ModelProto:
    nodes = [node("Cast", ["k"], "real", to=TensorProto.FLOAT), node("Add", ["c", "real"], "y")]
    return with_nodes(*nodes, k=np.array([np.nan]))


def batch_norm_in_training() -> onnx.ModelProto:
    four = {name: np.ones(4, np.float32) for name in "abmv"}
    return with_nodes(node("BatchNormalization", ["c", *four], "y", training_mode=1), **four)


def batch_norm_in_training_of_old() -> onnx.ModelProto:
    four = {name: np.ones(4, np.float32) for name in "abmv"}
    trained = helper.make_node("BatchNormalization", ["c", *four], ["y", "mean", "variance"], name="bn")
    model = with_nodes(trained, **four)
    model.opset_import[0].version = 12
    model.graph.output[0].name = "y"
    return model


def show(model: onnx.ModelProto, name: str, shape: Shape) -> onnx.ModelProto:
    """With one more graph output."""
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return model


def constant_output() -> onnx.ModelProto:
    nodes = [node("Identity", ["k"], "z"), node("Relu", ["c"], "y")]
    return show(with_nodes(*nodes, k=np.ones(3, np.float32)), "z", (3,))


def weights_as_output() -> onnx.ModelProto:
    return show(with_nodes(node("Relu", ["c"], "y")), "w", WEIGHT.shape)


def input_as_output() -> onnx.ModelProto:
    return show(with_nodes(node("Relu", ["c"], "y")), "x", (1, 1, 8, 8))


def output_twice() -> onnx.ModelProto:
    return show(with_nodes(node("Relu", ["c"], "y")), "y", (1, 4, 6, 6))


def output_of_nothing() -> onnx.ModelProto:
    model = with_nodes(node("Relu", ["c"], "y"))
    model.graph.output[0].name = "ghost"
    return model


def tensor_twice() -> onnx.ModelProto:
    return with_nodes(node("Relu", ["c"], "y"), node("Sigmoid", ["c"], "y"))


def input_made_again() -> onnx.ModelProto:
    return with_nodes(node("Sigmoid", ["c"], "x"), node("Relu", ["c"], "y"))


def initializer_twice() -> onnx.ModelProto:
    model = with_nodes(node("Relu", ["c"], "y"))
    model.graph.initializer.append(model.graph.initializer[0])
    return model


def input_twice() -> onnx.ModelProto:
    model = with_nodes(node("Relu", ["c"], "y"))
    model.graph.input.append(model.graph.input[0])
    return model


def cycle() -> onnx.ModelProto:
    return with_nodes(node("Add", ["c", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y"))


def empty_weights() -> onnx.ModelProto:
    return make_model([node("Conv", ["x", "w"], "y")], (1, 1, 8, 8), {"w": WEIGHT[:0]})


def batch_of_none() -> onnx.ModelProto:
    return make_model([node("Conv", ["x", "w"], "y")], (0, 1, 8, 8), {"w": WEIGHT})


def single_number() -> onnx.ModelProto:
    return make_model([node("Relu", ["x"], "y")], ())


def unknown_operator() -> onnx.ModelProto:
    return with_nodes(node("Convolute", ["c"], "y"))


def other_domain() -> onnx.ModelProto:
    model = with_nodes(node("FusedConv", ["c"], "y"))
    model.graph.node[-1].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def opset(version: int) -> onnx.ModelProto:
    model = with_nodes(node("Relu", ["c"], "y"))
    model.opset_import[0].version = version
    return model


def outside(name: str, attribute: bool) -> onnx.ModelProto:
    """A tensor, initializer or attribute, that another file holds."""
    nodes = [node("Constant", [], "k", value=numpy_helper.from_array(WEIGHT)), node("Relu", ["c"], "y")]
    model = with_nodes(*nodes)
    tensor = model.graph.node[1].attribute[0].t if attribute else model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, name, 0, WEIGHT.nbytes)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return model


def outside_too_short() -> onnx.ModelProto:
    Path("short.bin").write_bytes(b"123")
    return outside("short.bin", attribute=False)


def more_input(value: onnx.ValueInfoProto) -> onnx.ModelProto:
    model = with_nodes(node("Relu", ["c"], "y"))
    model.graph.input.append(value)
    return model


def sequence_input() -> onnx.ModelProto:
    return more_input(helper.make_tensor_sequence_value_info("q", TensorProto.FLOAT, None))


def optional_input() -> onnx.ModelProto:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    return more_input(helper.make_value_info("q", kind))


def sequence_output() -> onnx.ModelProto:
    model = with_nodes(node("SequenceConstruct", ["c"], "y"))
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None))
    return model


def of_type(elements: int) -> onnx.ModelProto:
    """An image of these elements, cast to real numbers."""
    nodes = [node("Cast", ["x"], "real", to=TensorProto.FLOAT), node("Conv", ["real", "w"], "y")]
    model = make_model(nodes, (1, 1, 8, 8), {"w": WEIGHT})
    model.graph.input[0].type.tensor_type.elem_type = elements
    return model


def contradiction() -> onnx.ModelProto:
    return with_nodes(node("Reshape", ["c", "k"], "y"), k=np.array([1, 7]))


def kernel_beyond_the_image() -> onnx.ModelProto:
    return make_model([node("Conv", ["x", "w"], "y")], (1, 1, 8, 8), {"w": random(4, 1, 9, 9)})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (cast_of_nan, ("Add node 'n_y': 'real' holds NaN", "Supported: finite numbers")),
        (batch_norm_in_training, ("in training mode: BatchNormalization (node 'n_y')", "in eval mode")),
        (batch_norm_in_training_of_old, ("in training mode: BatchNormalization (node 'bn')", "in eval mode")),
        (constant_output, ("graph output 'z' is constant, with shape (3,)", "Remove it from")),
        (weights_as_output, ("graph output 'w' is a constant (an initializer)", "Remove it from")),
        (input_as_output, ("graph output 'x' is a graph input", "Remove it from")),
        (output_twice, ("more than one graph output is named 'y'", "Rename them")),
        (output_of_nothing, ("no node makes graph output 'ghost'", "(node 'n_y'), makes 'y'")),
        (tensor_twice, ("tensor 'y' is made twice: by Relu", "and by Sigmoid", "Rename one")),
        (input_made_again, ("tensor 'x' is a graph input or constant", "Sigmoid (node 'n_x')")),
        (initializer_twice, ("more than one initializer is named 'w'", "Rename them")),
        (input_twice, ("more than one graph input is named 'x'", "Rename them")),
        (cycle, ("cycle: Add (node 'n_a'), Relu (node 'n_b')", "Write the loop out")),
        (empty_weights, ("Conv node 'n_y': 'w' of shape (0, 1, 3, 3) is empty", "export the model again")),
        (batch_of_none, ("'x' of shape (0, 1, 8, 8) has size 0 on axis 0", "Supported: 1 or more")),
        (single_number, ("graph input 'x' of shape ()", "one axis or more", "Export the model with")),
        (unknown_operator, ("does not have in opset 17: Convolute (node 'n_y')", "Export the model")),
        (other_domain, ("other domains", "FusedConv of com.microsoft (node 'n_y')", "Export the model")),
        (partial(opset, 5), ("opset 5", "Supported: 7 to", "onnx.version_converter")),
        (partial(opset, 99), ("opset 99", "Supported: 7 to", "onnx.version_converter")),
        (partial(outside, "gone.bin", False), ("'gone.bin', which is not beside it", "Put it into")),
        (partial(outside, "gone.bin", True), ("'gone.bin', which is not beside it", "Put it into")),
        (outside_too_short, ("weights beside it cannot be read", "tensor 'w'", "Copy or download")),
        (sequence_input, ("graph input 'q' is no tensor (sequence)", "Supported: tensors", "Export")),
        (optional_input, ("graph input 'q' is no tensor (optional)", "Supported: tensors", "Export")),
        (sequence_output, ("graph output 'y' is no tensor (sequence)", "Supported: tensors", "Export")),
        (partial(of_type, TensorProto.STRING), ("'x' has elements of type string", "Supported: float32")),
        (partial(of_type, TensorProto.COMPLEX64), ("type complex64", "Cast outside of the model")),
        (contradiction, ("Reshape (node 'n_y') makes 7 values", "'c', which has 144", "shapes that fit")),
        (kernel_beyond_the_image, ("Conv node 'n_y'", "does not fit an image of (8, 8)", "shapes that fit")),
    ],
    ids=lambda value: getattr(value, "__name__", "") or str(getattr(value, "args", "")),
)
def test_odd_model(
    make: Callable[[], onnx.ModelProto],
    says: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(make().SerializeToString())
    assert_refused("compile", "m.onnx", "-o", "out", says=says)


@pytest.mark.parametrize("elements", ["DOUBLE", "FLOAT16", "BFLOAT16", "INT64", "UINT8", "BOOL"])
def test_elements_that_are_converted(elements: str) -> None:
    imported = import_model(of_type(TensorProto.DataType.Value(elements)))
    assert imported.graph.tensors[imported.graph.inputs[0]].shape == (1, 1, 8, 8)

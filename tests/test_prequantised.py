"""Models that come quantised, QDQ and QOperator: against ONNX Runtime without graph optimisations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from machines import assert_equals_golden, pure_schedule
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType
from prequantised_models import (
    QONNX,
    SHAPE,
    assert_close,
    bipolar,
    brevitas_like,
    compiled,
    float_model,
    inputs,
    integer_products,
    quant_node,
    session,
    static,
)

from intarsia import golden, passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.quantise import calibrate, quantise
from intarsia.samples import Preprocess, load_samples

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.UINT8])
def test_constant_tensors_keep_their_steps(kind: int) -> None:
    """Embeddings and masks as exporters of quantised models write them."""
    rng = np.random.default_rng(0)
    integers = helper.tensor_dtype_to_np_dtype(kind)
    low, zero = (0, 7) if kind == TensorProto.UINT8 else (-128, 0)
    constants = {
        "s": np.float32(0.021),
        "z": np.array(zero + 3, integers),
        "sc": np.float32(0.013),
        "zc": np.array(zero, integers),
        "c": rng.integers(low, low + 255, SHAPE[1:]).astype(integers),
        "d": rng.integers(low, low + 255, SHAPE[2:]).astype(integers),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["c", "sc", "zc"], ["cd"]),
        helper.make_node("DequantizeLinear", ["d", "sc", "zc"], ["dd"]),
        helper.make_node("Add", ["xd", "cd"], ["a"], "add"),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["aq"]),
        helper.make_node("DequantizeLinear", ["aq", "s", "z"], ["ad"]),
        helper.make_node("Mul", ["dd", "ad"], ["m"], "mul"),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["mq"]),
        helper.make_node("DequantizeLinear", ["mq", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constants",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    imported, integer_graph = compiled(model)
    scales = [integer_graph.tensors[t.output].number.scale for t in integer_graph.tasks if not t.inputs]
    np.testing.assert_allclose(scales, 0.013, rtol=1e-6)
    assert_close(imported, integer_graph)
    assert_equals_golden(integer_graph, pure_schedule(integer_graph, "sequential", 4, 4))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("activations", "weights", "extra"),
    [
        (QuantType.QUInt8, QuantType.QInt8, {}),
        (QuantType.QInt8, QuantType.QInt8, {"ActivationSymmetric": True}),
        (QuantType.QUInt8, QuantType.QUInt8, {"WeightSymmetric": False}),
    ],
)
def test_onnxruntime_static_qdq(
    tmp_path: Path, per_channel: bool, activations: QuantType, weights: QuantType, extra: dict[str, bool]
) -> None:
    model = static(
        tmp_path,
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=activations,
        weight_type=weights,
        extra_options=extra,
    )
    imported, graph = compiled(model)
    assert imported.reference.graph.node
    assert_close(imported, graph)


@pytest.mark.parametrize("kind", ["qdq", "qonnx", "bipolar", "integer"])
def test_simulation_is_the_golden(tmp_path: Path, kind: str) -> None:
    model = {
        "qdq": lambda: static(tmp_path, quant_format=QuantFormat.QDQ, per_channel=True),
        "qonnx": lambda: brevitas_like(3, "FLOOR", power=False)[0],
        "bipolar": bipolar,
        "integer": integer_products,
    }[kind]()
    _imported, graph = compiled(model)
    assert_equals_golden(graph, pure_schedule(graph, "sequential", 4, 4))


@pytest.mark.parametrize("weights", [QuantType.QInt8, QuantType.QUInt8])
def test_onnxruntime_static_qoperator(tmp_path: Path, weights: QuantType) -> None:
    model = static(
        tmp_path,
        quant_format=QuantFormat.QOperator,
        activation_type=QuantType.QUInt8,
        weight_type=weights,
    )
    kinds = {node.op_type for node in model.graph.node}
    assert {"QLinearConv", "QLinearAdd", "QGemm"} <= kinds
    assert_close(*compiled(model))


def test_keyword_spotting() -> None:
    path = SHARED / "kws_dscnn_int8_qdq.onnx"
    if not path.is_file():
        pytest.skip("no shared data")
    imported = import_model(path)
    graph = passes.run(imported.graph)
    own = tuple((name, *numbers) for name, numbers in imported.integer_inputs.items())
    (tensor,) = (graph.tensors[name] for name in graph.inputs)
    samples = load_samples(SHARED / "kws_mfcc_int8_100.npz", (tensor,), Preprocess(integers=own))
    graph = quantise(graph, calibrate(imported.model, graph, samples.arrays))
    raw = graph.tensors["input_1"].number.quantise(samples.arrays["input_1"])
    given = np.load(SHARED / "kws_mfcc_int8_100.npz")["x_int8"]
    np.testing.assert_array_equal(raw.reshape(given.shape), given)
    scores = golden.run(graph, {"input_1": raw})[graph.outputs[0]].reshape(len(given), -1)
    (theirs,) = session(onnx.load(path)).run(None, {"input_1": given})
    assert samples.labels is not None
    mine = np.mean(scores.argmax(1) == samples.labels)
    assert abs(mine - np.mean(theirs.argmax(1) == samples.labels)) <= 0.01
    assert mine > 0.9


def test_integer_products() -> None:
    model = integer_products()
    _imported, graph = compiled(model)
    values = inputs(100)
    (name,), (output,) = graph.inputs, graph.outputs
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(values)[:, np.newaxis]})
    (theirs,) = session(model).run(None, {"x": values})
    difference = np.abs(raw[output][:, 0] - theirs.astype(np.int64))
    assert np.unique(theirs).size > 20
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1


def broken(change: str) -> onnx.ModelProto:
    """A model that cannot be kept as it is."""
    model = float_model()
    graph = model.graph
    nodes = {
        "dynamic": [helper.make_node("DynamicQuantizeLinear", ["y"], ["q", "own_s", "own_z"], "dynamic")],
        "computed scale": [helper.make_node("QuantizeLinear", ["y", "x", ""], ["q"], "quantise")],
        "per channel": [helper.make_node("QuantizeLinear", ["y", "several"], ["q"], "quantise", axis=1)],
        "bits": quant_node("y", "q", 1.0, 0, 20)[0],
        "mode": quant_node("y", "q", 1.0, 0, 4, mode="ODDLY")[0],
        "zero": quant_node("y", "q", 1.0, 1, 4, mode="UP")[0],
        "negative": quant_node("y", "q", -1.0, 0, 4)[0],
    }[change]
    graph.node.extend(nodes)
    number = {"bits": (1.0, 0, 20), "zero": (1.0, 1, 4), "negative": (-1.0, 0, 4)}.get(change, (1.0, 0, 4))
    graph.initializer.extend(quant_node("y", "q", *number)[1])
    graph.initializer.append(numpy_helper.from_array(np.ones(5, np.float32), "several"))
    if change == "dynamic":
        graph.node.append(helper.make_node("DequantizeLinear", ["q", "own_s", "own_z"], ["q_real"], "back"))
    del graph.output[:]
    result = "q_real" if change == "dynamic" else "q"
    graph.output.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", 5]))
    model.opset_import.append(helper.make_opsetid(QONNX, 1))
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("dynamic", "back.*is computed"),
        ("computed scale", "quantise.*'x', is computed"),
        ("per channel", "quantise.*5 scales"),
        ("bits", "Quant node 'q'.*20 bits.*1 to 16"),
        ("mode", "Quant node 'q'.*ODDLY.*HALF_UP"),
        ("zero", "Quant node 'q'.*UP with zero point 1"),
        ("negative", "Quant node 'q'.*scale is -1"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_node(change: str, message: str) -> None:
    with pytest.raises(IntarsiaError, match=message):
        import_model(broken(change))

"""Models that come quantised: QDQ, QOperator and QONNX, against ONNX Runtime without graph optimisations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from machines import assert_equals_golden, pure_schedule
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from intarsia import golden, passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import ImportedModel, import_model
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import calibrate, quantise
from intarsia.samples import Preprocess, load_samples
from intarsia.task_graph import TaskGraph, Trace

SHARED = Path(__file__).parents[2] / "shared" / "data"
SHAPE = (1, 3, 9, 8)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def inputs(count: int = 64, seed: int = 3) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE[1:])).astype(np.float32)


def compiled(model: onnx.ModelProto) -> tuple[ImportedModel, TaskGraph]:
    imported = import_model(model)
    graph = passes.run(imported.graph)
    (name,) = graph.inputs
    statistics = calibrate(add_moved_tensors(imported.model, graph), graph, {name: inputs()[:, np.newaxis]})
    return imported, quantise(graph, statistics)


def traces(imported: ImportedModel, graph: TaskGraph, values: np.ndarray[Any, Any]) -> tuple[Trace, Trace]:
    """The golden's trace, and what ONNX Runtime makes of the model itself, as raw integers."""
    (name,) = graph.inputs
    model = onnx.ModelProto()
    model.CopyFrom(imported.reference)
    made = {output for node in model.graph.node for output in node.output}
    shown = {output.name for output in model.graph.output}
    wanted = [tensor for tensor in graph.tensors if tensor in made]
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in wanted if tensor not in shown)
    found = dict(zip(wanted, session(model).run(wanted, {name: values}), strict=True))
    theirs = {
        tensor: graph.tensors[tensor]
        .number.quantise(reals)
        .reshape(len(values), *graph.tensors[tensor].shape)
        for tensor, reals in found.items()
    }
    raw = graph.tensors[name].number.quantise(values)[:, np.newaxis]
    return golden.run(graph, {name: raw}), {name: raw, **theirs}


def assert_close(imported: ImportedModel, graph: TaskGraph, most_percent: float = 0.1) -> None:
    """Every task on ONNX Runtime's own inputs: at most 1 LSB on so many elements."""
    golden_trace, theirs = traces(imported, graph, inputs())
    assert set(graph.outputs) <= set(theirs)
    theirs |= {task.output: golden_trace[task.output] for task in graph.tasks if not task.inputs}
    for task in graph.tasks:
        if task.output not in theirs or any(name not in theirs for name in task.inputs):
            continue
        mine = golden.run_task(graph, task, [theirs[name] for name in task.inputs])
        difference = np.abs(mine - theirs[task.output])
        assert difference.max() <= 1, task
        assert 100 * np.count_nonzero(difference) <= most_percent * difference.size, task


def float_model(batch_norm: bool = False) -> onnx.ModelProto:
    """Conv, Relu, depthwise Conv, MaxPool, a skip connection, Sigmoid gate, mean, Gemm."""
    rng = np.random.default_rng(0)
    weights = {
        "w0": rng.normal(0, 0.3, (6, 3, 3, 3)),
        "b0": rng.normal(0, 0.3, 6),
        "w1": rng.normal(0, 0.4, (6, 1, 3, 3)),
        "b1": rng.normal(0, 0.3, 6),
        "w2": rng.normal(0, 0.3, (6, 6, 1, 1)),
        "w3": rng.normal(0, 0.3, (5, 6)),
        "b3": rng.normal(0, 0.3, 5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "conv0", pads=[1, 0, 1, 2]),
        helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1], group=6),
        helper.make_node("Conv", ["c1", "w2"], ["c2"], "conv2"),
        helper.make_node("Add", ["c2", "r0"], ["a"], "add"),
        helper.make_node("MaxPool", ["a"], ["m"], "maxpool", kernel_shape=[2, 2]),
        helper.make_node("Sigmoid", ["m"], ["s"], "sigmoid"),
        helper.make_node("Mul", ["m", "s"], ["g"], "mul"),
        helper.make_node("GlobalAveragePool", ["g"], ["p"], "mean"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """Calibration samples for ONNX Runtime's own quantiser."""

    def __init__(self) -> None:
        self._left = [inputs(8, seed) for seed in range(4)]

    def get_next(self) -> dict[str, Any] | None:
        """One batch."""
        return {"x": self._left.pop()} if self._left else None


def static(tmp_path: Path, **options: Any) -> onnx.ModelProto:
    """The small model, quantised by ONNX Runtime."""
    source, target = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(float_model(), source)
    quantize_static(source, target, Samples(), **options)
    return onnx.load(target)


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


QONNX = "qonnx.custom_op.general"


def quant(
    values: np.ndarray[Any, Any],
    scale: Any,
    zero: float,
    bits: int,
    signed: int = 1,
    narrow: int = 0,
    mode: str = "ROUND",
) -> np.ndarray[Any, Any]:
    """QONNX's definition, in float64: clamp, then round."""
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    x = np.clip(values / scale + zero, low, high)
    size = np.abs(x)
    rounded = {
        "ROUND": lambda: np.round(x),
        "CEIL": lambda: np.ceil(x),
        "FLOOR": lambda: np.floor(x),
        "UP": lambda: np.sign(x) * np.ceil(size),
        "DOWN": lambda: np.fix(x),
        "HALF_UP": lambda: np.sign(x) * np.floor(size + 0.5),
        "HALF_DOWN": lambda: np.sign(x) * np.ceil(size - 0.5),
    }[mode]()
    return np.asarray((rounded - zero) * scale)


def quant_node(
    x: str, y: str, scale: Any, zero: float, bits: int, **attributes: Any
) -> tuple[list[Any], list[Any]]:
    numbers = {"scale": scale, "zero": zero, "bits": float(bits)}
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32), f"{y}_{name}")
        for name, value in numbers.items()
    ]
    names = [constant.name for constant in constants]
    rounding = attributes.pop("mode", "ROUND")
    node = helper.make_node("Quant", [x, *names], [y], y, domain=QONNX, rounding_mode=rounding, **attributes)
    return [node], constants


def brevitas_like(
    bits: int, mode: str = "ROUND", zero: float = 0, power: bool = True, **attributes: int
) -> tuple[onnx.ModelProto, dict[str, np.ndarray[Any, Any]]]:
    """Quant -> Conv -> BatchNormalization -> Quant -> Flatten -> MatMul, weights of so many bits."""
    rng = np.random.default_rng(bits)
    odd = [1.0] * 5 if power else [1.3217, 1.0893, 1.7391, 1.4411, 1.1927]
    reals = {"w": rng.normal(0, 1, (4, 3, 3, 3)), "v": rng.normal(0, 1, (4 * 7 * 6, 5))}
    w_scale = np.exp2(-np.arange(4.0))[:, None, None, None] * odd[0] * 2.0 ** (1 - bits)
    norm = {"gamma": [1, -2, 0.5, 1], "beta": [0.3, 0.1, 0, -1], "mean": [0.1, 0, 0, 0], "var": [1, 1, 1, 1]}
    parts = [
        quant_node("x", "xq", 2.0**-5 * odd[1], 0, 8),
        quant_node("w", "wq", w_scale, 0, bits, narrow=1),
        ([helper.make_node("Conv", ["xq", "wq"], ["c"], "conv")], []),
        (
            [helper.make_node("BatchNormalization", ["c", *norm], ["n"], "norm", epsilon=0.0)],
            [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in norm.items()],
        ),
        quant_node("n", "nq", 2.0**-3 * odd[2] * 2 ** (8 - bits) / 8, zero, bits, mode=mode, **attributes),
        ([helper.make_node("Flatten", ["nq"], ["f"], "flatten")], []),
        quant_node("v", "vq", 2.0 ** (1 - bits) * odd[3], 0, bits),
        ([helper.make_node("MatMul", ["f", "vq"], ["m"], "matmul")], []),
        quant_node("m", "y", 2.0**-4 * odd[4], 0, 8),
    ]
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in reals.items()]
    graph = helper.make_graph(
        [node for nodes, _ in parts for node in nodes],
        "brevitas",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        constants + [constant for _, own in parts for constant in own],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), {**reals, "w_scale": w_scale}


def assert_defined(bits: int, mode: str = "ROUND", zero: float = 0, **attributes: int) -> None:
    """Golden and definition are the same numbers, bit for bit."""
    model, reals = brevitas_like(bits, mode, zero, **attributes)
    _imported, graph = compiled(model)
    (name,) = graph.inputs
    values = inputs(20)
    x = quant(values, 2.0**-5, 0, 8)
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(values)[:, np.newaxis]})
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    c = np.einsum("bcyxij,ocij->boyx", windows, quant(reals["w"], reals["w_scale"], 0, bits, narrow=1))
    along = np.array([[1, -2, 0.5, 1], [0.3, 0.1, 0, -1], [0.1, 0, 0, 0]], np.float32).astype(np.float64)
    gamma, beta, mean = along[:, :, None, None]
    n = quant((c - mean) * gamma + beta, 2.0**-6 * 2 ** (8 - bits), zero, bits, mode=mode, **attributes)
    middle = next(task.output for task in graph.tasks if task.operator.name == "Conv")
    shown = graph.tensors[middle].number.dequantise(raw[middle])[:, 0]
    np.testing.assert_array_equal(shown, n)
    y = quant(n.reshape(20, -1) @ quant(reals["v"], 2.0 ** (1 - bits), 0, bits), 2.0**-4, 0, 8)
    (output,) = graph.outputs
    np.testing.assert_array_equal(graph.tensors[output].number.dequantise(raw[output])[:, 0], y)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_qonnx_widths(bits: int) -> None:
    assert_defined(bits)


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_qonnx_rounding_modes(mode: str) -> None:
    assert_defined(4, mode)
    assert_defined(4, mode, signed=0)


@pytest.mark.parametrize("zero", [3, -2, 7])
@pytest.mark.parametrize("mode", ["ROUND", "FLOOR", "CEIL"])
def test_qonnx_zero_points(mode: str, zero: int) -> None:
    assert_defined(5, mode, zero)


def test_qonnx_any_scale_in_onnxruntime() -> None:
    model, _ = brevitas_like(4, power=False)
    assert_close(*compiled(model))


def test_qonnx_narrow() -> None:
    assert_defined(4, narrow=1)


def bipolar() -> onnx.ModelProto:
    """Signs of inputs times signs of weights, and signs of the sums: a binary network."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3 * 9 * 8, 6)).astype(np.float32)
    constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.array(0.5, np.float32), "half"),
        numpy_helper.from_array(np.array(1, np.float32), "one"),
    ]
    nodes = [
        helper.make_node("BipolarQuant", ["x", "one"], ["xq"], "xq", domain=QONNX),
        helper.make_node("BipolarQuant", ["w", "half"], ["wq"], "wq", domain=QONNX),
        helper.make_node("Flatten", ["xq"], ["f"], "flatten"),
        helper.make_node("MatMul", ["f", "wq"], ["m"], "matmul"),
        helper.make_node("BipolarQuant", ["m", "half"], ["y"], "y", domain=QONNX),
    ]
    graph = helper.make_graph(
        nodes,
        "bipolar",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_bipolar() -> None:
    model = bipolar()
    _imported, graph = compiled(model)
    (name,), (output,) = graph.inputs, graph.outputs
    values = inputs(40)
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(values)[:, np.newaxis]})
    weights = numpy_helper.to_array(model.graph.initializer[0])
    sums = np.where(values < 0, -1, 1).reshape(40, -1) @ np.where(weights < 0, -0.5, 0.5)
    expected = np.where(sums < 0, -0.5, 0.5)
    assert len(np.unique(expected)) == 2
    np.testing.assert_array_equal(graph.tensors[output].number.dequantise(raw[output])[:, 0], expected)


def integer_products() -> onnx.ModelProto:
    """QuantizeLinear -> ConvInteger -> Cast -> Mul -> QuantizeLinear -> MatMulInteger -> Cast -> Mul."""
    rng = np.random.default_rng(0)
    arrays = {
        "s": np.array(0.031, np.float32),
        "z": np.array(128, np.uint8),
        "w": rng.integers(-127, 128, (4, 3, 2, 2)).astype(np.int8),
        "wz": np.array(3, np.int8),
        "k": np.array(0.031 * 0.004, np.float32),
        "t": np.array(0.05, np.float32),
        "tz": np.array(100, np.uint8),
        "v": rng.integers(0, 256, (4 * 8 * 7, 5)).astype(np.uint8),
        "vz": np.array(125, np.uint8),
        "l": np.array(0.05 * 0.003, np.float32),
        "o": np.array(0.2, np.float32),
        "oz": np.array(0, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], "q0"),
        helper.make_node("ConvInteger", ["xq", "w", "z", "wz"], ["c"], "conv"),
        helper.make_node("Cast", ["c"], ["cf"], "cast0", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cf", "k"], ["cs"], "scale0"),
        helper.make_node("QuantizeLinear", ["cs", "t", "tz"], ["cq"], "q1"),
        helper.make_node("Flatten", ["cq"], ["f"], "flatten"),
        helper.make_node("MatMulInteger", ["f", "v", "tz", "vz"], ["m"], "matmul"),
        helper.make_node("Cast", ["m"], ["mf"], "cast1", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["mf", "l"], ["ms"], "scale1"),
        helper.make_node("QuantizeLinear", ["ms", "o", "oz"], ["y"], "q2"),
    ]
    graph = helper.make_graph(
        nodes,
        "integer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, ["batch", 5])],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


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

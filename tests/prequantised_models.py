"""Models that come quantised, as several tools write them, and what they must agree with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from intarsia import golden, passes
from intarsia.frontend import ImportedModel, import_model
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import calibrate, quantise
from intarsia.task_graph import TaskGraph, Trace

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

"""Integers and booleans in hardware: exact, of the model's own types for samples and driver, and refused beyond the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from local_pynq import run_script
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import make_model, node, random

import intarsia
from intarsia import golden, passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.graph_file import load_graph
from intarsia.qdq.model import export_qdq
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import Precision, QuantiseOptions, calibrate, quantise
from intarsia.samples import SamplesError
from intarsia.simulation.build import build
from intarsia.task_graph import TaskGraph
from intarsia.verify import run
from intarsia.verify.onnxruntime_runner import QuantisedRunner

Arrays = Mapping[str, np.ndarray]


def integer_model(nodes: list[onnx.NodeProto], types: dict[str, tuple], constants: Arrays) -> onnx.ModelProto:
    """Inputs and outputs by name: type and shape, or type alone."""
    values = {
        name: helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), *shape or [None]
        )
        for name, (kind, *shape) in types.items()
    }
    made = {name for each in nodes for name in each.output}
    graph = helper.make_graph(
        nodes,
        "whole",
        [value for name, value in values.items() if name not in made],
        [
            helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, None)
            for name, value in values.items()
            if name in made
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def quantised(model: onnx.ModelProto, samples: Arrays, options: QuantiseOptions) -> TaskGraph:
    """The graph, calibrated with samples of shape (samples, *input shape)."""
    imported = import_model(model, ())
    graph = passes.run(imported.graph)
    reals = {name: samples[name].astype(np.float32) for name in imported.graph.inputs}
    return quantise(graph, calibrate(add_moved_tensors(imported.model, graph), graph, reals), options)


def check_exact(model: onnx.ModelProto, samples: Arrays, folder: Path, bits: int = 8) -> TaskGraph:
    """Golden and QDQ model give what ONNX gives."""
    graph = quantised(model, samples, QuantiseOptions(weight_bits=8, activation_bits=bits))
    raw = {name: graph.tensors[name].number.quantise(samples[name]) for name in graph.inputs}
    trace = golden.run(graph, raw)
    onnx.save(export_qdq(graph), folder / "qdq.onnx")
    image = QuantisedRunner(folder / "qdq.onnx", graph).trace(raw)
    for sample in range(len(next(iter(samples.values())))):
        expected = ReferenceEvaluator(model).run(None, {name: one[sample] for name, one in samples.items()})
        for value, wanted in zip(model.graph.output, expected, strict=True):
            found = graph.tensors[value.name].number.dequantise(trace[value.name][sample])
            np.testing.assert_array_equal(found, wanted)
    for name in graph.outputs:
        np.testing.assert_array_equal(image[name], trace[name])
    return graph


ARITHMETIC = [
    node("Mul", ["x", "factors"], "scaled"),
    node("Add", ["scaled", "y"], "sum"),
    node("Max", ["sum", "y"], "larger"),
    node("Where", ["seen", "larger", "x"], "chosen"),
    node("Clip", ["chosen", "low", "high"], "z"),
    node("Trilu", ["x"], "upper"),
    node("Concat", ["upper", "y"], "both", axis=1),
]
TOTAL = node("ReduceSum", ["both", "axes"], "total", keepdims=0)


def arithmetic(kind: str) -> onnx.ModelProto:
    """Two inputs of the type, and booleans."""
    constants = {
        "factors": np.arange(-2, 3).astype(kind) if kind.startswith("i") else np.arange(5).astype(kind),
        "low": np.asarray(-20 if kind.startswith("i") else 2, kind),
        "high": np.asarray(90, kind),
        "axes": np.array([1]),
    }
    types = {
        "x": (kind, (1, 4, 5)),
        "y": (kind, (1, 4, 5)),
        "seen": ("bool", (1, 4, 5)),
        "z": (kind,),
    }
    if np.dtype(kind).itemsize < 4:
        return integer_model(ARITHMETIC, types | {"both": (kind,)}, constants)
    return integer_model([*ARITHMETIC, TOTAL], types | {"total": (kind,)}, constants)


def arithmetic_samples(kind: str, count: int = 5) -> Arrays:
    generator = np.random.default_rng(0)
    return {
        "x": generator.integers(0, 12, (count, 1, 4, 5)).astype(kind),
        "y": generator.integers(3, 20, (count, 1, 4, 5)).astype(kind),
        "seen": generator.integers(0, 2, (count, 1, 4, 5)).astype(bool),
    }


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("bits", [8, 16])
def test_arithmetic_is_exact(kind: str, bits: int, tmp_path: Path) -> None:
    graph = check_exact(arithmetic(kind), arithmetic_samples(kind), tmp_path, bits)
    for name in ("x", "y", "z"):
        number = graph.tensors[name].number
        assert graph.tensors[name].kind == kind and number.scale == 1
        if np.dtype(kind).itemsize < 4:  # all values of the type
            limits = np.iinfo(kind)
            assert (number.minimum - number.zero, number.maximum - number.zero) == (limits.min, limits.max)
    assert graph.tensors["seen"].kind == "bool"


def test_moves_and_products_are_exact(tmp_path: Path) -> None:
    nodes = [
        node("Slice", ["x", "one", "four", "two"], "part"),
        node("Tile", ["part", "twice"], "tiled"),
        node("MatMul", ["tiled", "w"], "product"),
        node("Cast", ["product"], "z", to=TensorProto.FLOAT),
        node("Pad", ["image", "pads"], "wider", mode="edge"),
        node("MaxPool", ["wider"], "pooled", kernel_shape=[2, 2]),
    ]
    constants = {
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]),
        "one": np.array([1]),
        "four": np.array([4]),
        "two": np.array([2]),
        "twice": np.array([1, 1, 2]),
        "w": np.arange(-9, 9, dtype=np.int32).reshape(6, 3) * 17,
    }
    types = {
        "x": ("int32", (1, 5, 6)),
        "image": ("uint8", (1, 2, 5, 5)),
        "z": ("float32",),
        "pooled": ("uint8",),
    }
    generator = np.random.default_rng(1)
    samples = {
        "x": generator.integers(-30, 31, (4, 1, 5, 6)).astype(np.int32),
        "image": generator.integers(0, 256, (4, 1, 2, 5, 5)).astype(np.uint8),
    }
    graph = check_exact(integer_model(nodes, types, constants), samples, tmp_path)
    assert graph.tensors["z"].number.bits > 8  # as many as the values need


def test_widths_follow_samples_and_options() -> None:
    model = make_model([node("Add", ["x", "c"], "y")], (1, 4), {"c": [1]}, elements=TensorProto.INT64)

    def number(low: int, high: int, **options: object) -> str:
        samples = {"x": np.array([[[low, 0, 1, high]]])}
        return str(quantised(model, samples, QuantiseOptions(**options)).tensors["x"].number)

    assert number(-5, 100) == "int8 * 2^0"
    assert number(-5, 128) == "int9 * 2^0"
    assert number(0, 60000) == "int16 * 2^0, zero -32768"
    assert number(-5, 100, precision=Precision(tensors={"x": 12})) == "int12 * 2^0"
    assert number(0, 200, precision=Precision(tensors={"x": 8})) == "int8 * 2^0, zero -128"
    with pytest.raises(
        IntarsiaError, match=r"'x' holds whole numbers \(int64\) from -5 to 40000.*in 16 bits\."
    ):
        number(-5, 40000)
    with pytest.raises(IntarsiaError, match=r"-5 to 200.*in 8 bits as --precision tells"):
        number(-5, 200, precision=Precision(tensors={"x": 8}))


def test_who_runs_integers() -> None:
    """All nodes that share an integer tensor in hardware, or none."""
    shared = [
        node("Gather", ["table", "x"], "e"),
        node("Add", ["x", "c"], "more"),
        node("Cast", ["more"], "m", to=TensorProto.FLOAT),
        node("MatMul", ["e", "w"], "h"),
        node("Add", ["h", "m"], "y"),
    ]
    constants = {"table": random(9, 4), "c": [1], "w": random(4, 4)}
    model = make_model(shared, (1, 4), constants, elements=TensorProto.INT64)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    imported = import_model(model)
    assert imported.host_before is not None
    assert {one.op_type for one in imported.host_before.graph.node} >= {"Gather", "Add", "Cast"}
    cast = [node("Cast", ["x"], "f", to=TensorProto.FLOAT), node("MatMul", ["f", "w"], "y")]
    model = make_model(cast, (1, 4), constants, elements=TensorProto.UINT8)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    assert import_model(model).host_before is None
    scaled = [cast[0], node("Mul", ["f", "half"], "s"), node("MatMul", ["s", "w"], "y")]
    pixels = make_model(scaled, (1, 4), constants | {"half": 0.5}, elements=TensorProto.UINT8)
    pixels.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    first = import_model(pixels).host_before
    assert first is not None and [one.op_type for one in first.graph.node] == ["Cast", "Mul"]
    assert import_model(pixels, ()).host_before is None
    left = import_model(model, ("Cast",)).host_before
    assert left is not None and left.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


DRIVER = """
import numpy as np
from accelerator import Accelerator, AcceleratorError
own, wanted = np.load("own.npz"), np.load("wanted.npz")
device = Accelerator("whole.bit")
found = device(dict(own))
for name in ("z", "total"):
    assert found[name].dtype == np.int64 and (found[name] == wanted[name]).all(), name
for name, value, message in (
    ("x", 5000, "this design takes -128 to 127"), ("seen", 2, "takes 0 to 1"), ("y", 0.5, "takes int64, but was given float64"),
):
    try:
        device({**own, name: np.full(own[name].shape, value)})
    except AcceleratorError as error:
        assert message in str(error) and name in str(error), error
    else:
        raise AssertionError(name)
"""


def test_from_samples_to_driver(tmp_path: Path) -> None:
    samples = {name: values[:, 0] for name, values in arithmetic_samples("int64", 20).items()}
    np.savez(tmp_path / "samples.npz", **samples)
    onnx.save(model := arithmetic("int64"), tmp_path / "whole.onnx")
    design = intarsia.compile(
        tmp_path / "whole.onnx",
        calibration=tmp_path / "samples.npz",
        schedule="sequential",
        fifo_sizing=False,
    )
    project = design.write(tmp_path / "project")
    assert run(project, board="none").passed
    for name, value, message in (
        ("x", 999, "from 999 to 999; the design takes -128 to 127"),
        ("y", 0.5, "cannot take"),
    ):
        np.savez(tmp_path / "other.npz", **{**samples, name: np.full_like(samples[name], value, type(value))})
        with pytest.raises(SamplesError, match=message):
            run(project, tmp_path / "other.npz", board="none")
    deploy = project / "deploy"
    for name in ("whole.bit", "whole.hwh"):
        (deploy / name).touch()
    expected = [
        ReferenceEvaluator(model).run(None, {name: values[i : i + 1] for name, values in samples.items()})
        for i in range(20)
    ]
    np.savez(deploy / "own.npz", **samples)
    results = zip(("z", "total"), zip(*expected, strict=True), strict=True)
    np.savez(deploy / "wanted.npz", **{name: np.concatenate(one) for name, one in results})
    run_script(deploy, DRIVER, build(project))
    assert load_graph(project / "golden.npz").tensors["seen"].kind == "bool"


def test_without_samples_integers_are_integers() -> None:
    design = intarsia.compile(arithmetic("uint8"), schedule="sequential", fifo_sizing=False)
    assert set(np.unique(design.samples["seen"])) == {0, 1}
    assert design.samples["x"].max() > 1 and (design.samples["x"] % 1 == 0).all()

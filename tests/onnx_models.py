"""Small ONNX models for tests, and ONNX Runtime as their reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from intarsia import golden, passes
from intarsia.frontend import ImportedModel, import_model
from intarsia.task_graph import TaskGraph

IR_VERSION = 10
Shape = Sequence[int | str | None]


def node(op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """A node whose name is its output's, with a prefix."""
    return helper.make_node(op_type, inputs, [output], name=f"n_{output}", **attributes)


def make_model(
    nodes: Sequence[onnx.NodeProto],
    input_shape: Shape,
    constants: Mapping[str, Any] | None = None,
    *,
    output: str | Sequence[str] | None = None,
    opset: int = 17,
    elements: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model with input `x`, whose output is the last node's unless another is named.

    Floating-point constants become float32, others int64, unless they are arrays of another type.
    """
    outputs = [output] if isinstance(output, str) else output or [nodes[-1].output[0]]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", elements, input_shape)],
        [helper.make_tensor_value_info(name, elements, None) for name in outputs],
        [numpy_helper.from_array(_typed(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)


def _typed(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run_onnxruntime(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Named tensors of a model in ONNX Runtime without optimisations."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options, ["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), dict(inputs)), strict=True))


def compare(model: ImportedModel, graph: TaskGraph, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Assert that a float graph computes what ONNX Runtime does, on every tensor that ONNX has, up to shape."""
    known = {name for each in model.model.graph.node for name in each.output}
    names = [task.output for task in graph.tasks if task.output in known]
    assert set(graph.outputs) <= set(names)
    for sample in samples:
        expected = run_onnxruntime(model.model, sample, names)
        trace = golden.run_float(graph, {name: value[np.newaxis] for name, value in sample.items()})
        for name in names:
            shape = (1, *graph.tensors[name].shape)
            assert trace[name].shape == shape, name
            np.testing.assert_allclose(
                trace[name], expected[name].reshape(shape), rtol=1e-4, atol=1e-4, err_msg=name
            )


def check(source: Any, samples: int = 2, seed: int = 1) -> TaskGraph:
    """Import, run the passes, compare both graphs with ONNX Runtime; returns the graph after the passes."""
    imported = import_model(source)
    inputs = [
        {name: random(*imported.graph.tensors[name].shape, seed=seed + i) for name in imported.graph.inputs}
        for i in range(samples)
    ]
    compare(imported, imported.graph, inputs)
    graph = passes.run(imported.graph)
    compare(imported, graph, inputs)
    assert list(graph.inputs) == list(imported.graph.inputs)
    return graph

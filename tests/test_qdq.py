from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from graphs import chain, conv, dense, quantised, random_inputs, small_cnn, stress_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from intarsia import golden
from intarsia.fixed_point import FixedPoint
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.max_pool import MaxPool
from intarsia.qdq.model import export_qdq, quantised_tensor_names
from intarsia.quantise import QuantiseOptions, accumulator_ranges
from intarsia.task_graph import UNBOUNDED, TaskGraph, Tensor

WIDTHS = [(8, 8), (4, 4), (8, 4), (5, 11), (2, 2), (4, 8), (2, 16)]


def onnxruntime_trace(graph: TaskGraph, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
    """Raw integers of every tensor, from the QDQ model in ONNX Runtime without optimisations."""
    model = export_qdq(graph)
    names = quantised_tensor_names(graph)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names.values())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    feeds = {
        name: graph.tensors[name].number.dequantise(raw[:, 0]).astype(np.float32)
        for name, raw in inputs.items()
    }
    results = session.run(list(names.values()), feeds)
    return {
        name: values.reshape(-1, *graph.tensors[name].shape).astype(np.int64)
        for name, values in zip(names, results, strict=True)
    }


def assert_exact(graph: TaskGraph, inputs: Mapping[str, NDArray[np.int64]]) -> None:
    expected, got = golden.run(graph, inputs), onnxruntime_trace(graph, inputs)
    mismatches = {name: int((expected[name] != got[name]).sum()) for name in graph.tensors}
    assert mismatches == dict.fromkeys(graph.tensors, 0)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("weight_bits", "activation_bits"), WIDTHS)
def test_every_operator_is_exact(weight_bits: int, activation_bits: int, per_channel: bool) -> None:
    graph = quantised(small_cnn(), QuantiseOptions(weight_bits, activation_bits, per_channel))
    assert all(found.float32_exact for found in accumulator_ranges(graph).values())
    assert_exact(graph, stress_inputs(graph))


def test_accumulators_beyond_float32_are_said_to_be_so() -> None:
    """16-bit operands: the bound passes 2**24; each such task alone is then within one LSB."""
    graph = quantised(small_cnn(), QuantiseOptions(16, 16))
    ranges = accumulator_ranges(graph)
    assert not ranges["layer0"].float32_exact
    assert ranges["layer1"].float32_exact  # a maximum
    trace = onnxruntime_trace(graph, stress_inputs(graph))
    for task in graph.tasks:
        difference = np.abs(
            golden.run_task(graph, task, [trace[name] for name in task.inputs]) - trace[task.output]
        )
        assert difference.max() <= (0 if ranges[task.name].float32_exact else 1), task.name


@st.composite
def networks(draw: st.DrawFn) -> tuple[TaskGraph, QuantiseOptions]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, height, width = draw(st.integers(1, 3)), draw(st.integers(5, 9)), draw(st.integers(5, 9))
    pair, clamps = (
        st.tuples(st.integers(1, 2), st.integers(1, 2)),
        [UNBOUNDED, (0.0, math.inf), (0.0, 6.0), (-0.3, 0.7)],
    )
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4))
    outputs = draw(st.integers(1, 4))
    operator, parameters, _ = conv(
        rng,
        channels,
        outputs,
        draw(st.booleans()),
        kernel=kernel,
        pads=pads,
        stride=draw(pair),
        dilation=draw(pair),
    )
    layers: list[Any] = [(operator, parameters, draw(st.sampled_from(clamps)))]
    image = Tensor("x", (1, channels, height, width), 1)
    shape = operator.infer([image], parameters)[0]
    kernel = (draw(st.integers(1, shape[2])), draw(st.integers(1, shape[3])))
    pads = tuple(draw(st.integers(0, min(2, kernel[i % 2] - 1))) for i in range(4))
    pool = draw(st.sampled_from([AveragePool, MaxPool]))(kernel, draw(pair), pads=pads)
    layers.append((pool, {}, draw(st.sampled_from(clamps))))
    shape = pool.infer([Tensor("y", shape, 1)], {})[0]
    layers.append(dense(rng, math.prod(shape), draw(st.integers(1, 4)), draw(st.booleans())))
    bits = draw(st.sampled_from(WIDTHS))
    return chain((channels, height, width), layers), QuantiseOptions(*bits, draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(networks())
def test_random_networks_are_exact(network: tuple[TaskGraph, QuantiseOptions]) -> None:
    graph = quantised(network[0], network[1])
    ranges = accumulator_ranges(graph)
    inputs = stress_inputs(graph)
    if all(found.float32_exact for found in ranges.values()):
        assert_exact(graph, inputs)


@pytest.mark.parametrize("divisor", [*range(1, 50), 64, 81, 100, 121])
@pytest.mark.parametrize("shift", [-6, -3, 0, 1, 3])
def test_average_pooling_rounds_the_same_for_every_divisor(divisor: int, shift: int) -> None:
    """Every reachable sum near zero and at the rails, ties included."""
    float_graph = chain((1, divisor, 1), [(AveragePool((divisor, 1)), {}, UNBOUNDED)])
    number = FixedPoint(8, -5)
    tensors = {
        "x": Tensor("x", (1, 1, divisor, 1), 1, number),
        "t0": Tensor("t0", (1, 1, 1, 1), 1, FixedPoint(8, -5 + shift)),
    }
    graph = float_graph.with_tasks(float_graph.tasks, tensors)
    reach = 128 * divisor
    sums = np.unique(
        np.clip(
            np.concatenate([np.arange(-600, 600), np.linspace(-reach, reach - divisor, 1001).astype(int)]),
            -reach,
            reach - divisor,
        )
    )
    ramp = (sums[:, np.newaxis] + np.arange(divisor)) // divisor  # `divisor` near-equal values of that sum
    assert (ramp.sum(axis=1) == sums).all()
    assert_exact(graph, {"x": ramp.reshape(-1, 1, 1, divisor, 1)})


def test_dense_over_rows_of_a_matrix_is_exact() -> None:
    rng = np.random.default_rng(5)
    operator, parameters, _ = dense(rng, 6, 4, axis=2)
    graph = quantised(chain((3, 6), [(operator, parameters, (0.0, math.inf))]))
    assert_exact(graph, stress_inputs(graph))


def test_model_is_standard_onnx_with_readable_names() -> None:
    graph = quantised(small_cnn())
    model = export_qdq(graph)
    assert model.ir_version == 10
    assert {node.domain for node in model.graph.node} == {""}
    assert [value.name for value in model.graph.input] == ["x"]
    assert [value.name for value in model.graph.output] == ["t4"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert {"x/QuantizeLinear", "layer0/Conv", "layer0/Relu", "layer2/Clip", "t4/DequantizeLinear"} <= set(
        names
    )
    bias = next(constant for constant in model.graph.initializer if constant.name == "layer0/bias_quantised")
    assert bias.data_type == onnx.TensorProto.INT32


def test_outputs_are_the_dequantised_values() -> None:
    graph = quantised(small_cnn())
    reals = random_inputs(graph, 4)
    session = onnxruntime.InferenceSession(export_qdq(graph).SerializeToString())
    raw = {"x": graph.tensors["x"].number.quantise(reals["x"].astype(np.float32))}
    got = session.run(["t4"], {"x": reals["x"][:, 0].astype(np.float32)})[0]
    expected = graph.tensors["t4"].number.dequantise(golden.run(graph, raw)["t4"])[:, 0]
    assert (
        np.abs(got - expected).max() <= 2 * graph.tensors["t4"].number.scale
    )  # the optimised session is no reference


def test_a_tensor_name_that_looks_like_ours_does_not_clash() -> None:
    graph = quantised(small_cnn())
    tensors = {("t0_quantised" if name == "t1" else name): tensor for name, tensor in graph.tensors.items()}
    from dataclasses import replace

    rename = {"t1": "t0_quantised"}
    tasks = tuple(
        replace(
            task,
            inputs=tuple(rename.get(name, name) for name in task.inputs),
            output=rename.get(task.output, task.output),
        )
        for task in graph.tasks
    )
    renamed = replace(graph, tensors=tensors, tasks=tasks)
    assert quantised_tensor_names(renamed)["t0"] == "t0_quantised_"
    assert_exact(renamed, stress_inputs(renamed))

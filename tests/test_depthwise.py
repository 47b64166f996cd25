"""Depthwise and grouped convolutions and one-dimensional layers, in every world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from graphs import RELU, Layer, chain, conv, dense, quantised, stress_inputs
from machines import assert_equals_golden, check
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_qdq import assert_exact

import intarsia
from intarsia import passes
from intarsia.board import load_board
from intarsia.frontend import import_model
from intarsia.graph_file import load_graph, save_graph
from intarsia.machine.lower import lower
from intarsia.machine.units.kinds import build_hardware
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.conv import Conv, block_diagonal
from intarsia.ops.depthwise_conv import DepthwiseConv
from intarsia.ops.max_pool import MaxPool
from intarsia.ops.move import Move
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.bounds import lower_bound_cycles, multipliers
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Schedule
from intarsia.schedule.pure import dataflow, sequential
from intarsia.schedule.search import decide
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import UNBOUNDED, TaskGraph

KINDS = ("sequential", "dataflow")


def depthwise(rng: np.random.Generator, channels: int, bias: bool = True, **attributes: Any) -> Layer:
    """A depthwise convolution with random weights."""
    operator = DepthwiseConv(**attributes)
    parameters = {"weight": rng.normal(0, 0.4, (channels, 1, *operator.kernel))}
    if bias:
        parameters["bias"] = rng.normal(0, 0.3, channels)
    return operator, parameters, RELU


def separable() -> TaskGraph:
    """Depthwise convolutions of many geometries among dense ones; 13 and 21 channels fill no word."""
    r = np.random.default_rng(0)
    return chain(
        (3, 12, 11),
        [
            depthwise(r, 3, kernel=(3, 3), pads=(1, 1, 1, 1)),
            conv(r, 3, 13, kernel=(1, 1)),
            depthwise(r, 13, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 2, 1)),
            conv(r, 13, 21, kernel=(1, 1)),
            depthwise(r, 21, False, kernel=(2, 3), dilation=(2, 1), pads=(2, 2, 0, 1)),
            depthwise(r, 21, kernel=(5, 1), stride=(1, 2)),
            (MaxPool((1, 2)), {}, UNBOUNDED),
            depthwise(r, 21, kernel=(1, 1)),
            dense(r, 21 * 3 * 5, 6),
        ],
        "separable",
    )


def signals() -> TaskGraph:
    """Layers over (channels, length)."""
    r = np.random.default_rng(1)

    def flat(layer: Layer) -> Layer:
        operator, parameters, clamp = layer
        return operator, {**parameters, "weight": parameters["weight"][:, :, 0]}, clamp

    return chain(
        (2, 40),
        [
            flat(conv(r, 2, 9, kernel=(1, 5), stride=(1, 2), pads=(0, 2, 0, 1))),
            (MaxPool((1, 3), (1, 2), (1, 1), (0, 1, 0, 1)), {}, UNBOUNDED),
            flat(depthwise(r, 9, kernel=(1, 3), dilation=(1, 2), pads=(0, 2, 0, 2))),
            flat(conv(r, 9, 6, kernel=(1, 1))),
            (AveragePool((1, 2), (1, 2)), {}, UNBOUNDED),
            dense(r, 6 * 5, 4),
        ],
        "signals",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lanes", "outputs"), [(4, 8), (16, 4), (32, 32)])
def test_separable(lanes: int, outputs: int, kind: str) -> None:
    check(separable(), kind, lanes, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
@pytest.mark.parametrize("graph", [separable, signals])
def test_every_width(graph: Callable[[], TaskGraph], lanes: int, kind: str) -> None:
    for outputs in (1, lanes // 2, lanes, 3 * lanes):
        check(graph(), kind, lanes, outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_signals(kind: str) -> None:
    check(signals(), kind, 8, 4)


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(4, 8), (16, 16), (11, 13)])
def test_widths_of_numbers(weight_bits: int, activation_bits: int) -> None:
    check(separable(), "sequential", 8, 8, QuantiseOptions(weight_bits, activation_bits))


@pytest.mark.parametrize("kind", KINDS)
def test_exponents_per_channel(kind: str) -> None:
    r = np.random.default_rng(3)
    layers = [
        depthwise(r, 7, kernel=(3, 3), pads=(1, 1, 1, 1)),
        conv(r, 7, 5, kernel=(1, 1)),
        depthwise(r, 5, kernel=(2, 2)),
    ]
    for _, parameters, _ in layers:
        weight = parameters["weight"]
        parameters["weight"] = weight * 2.0 ** np.arange(len(weight)).reshape(-1, 1, 1, 1)
    graph = chain((7, 6, 6), layers)
    for per_channel in (True, False):
        options = QuantiseOptions(per_channel=per_channel)
        check(graph, kind, 4, 8, options)
        integers = quantised(graph, options)
        assert_exact(integers, stress_inputs(integers))


@pytest.mark.parametrize("engines", [(8,), (8, 16)])
def test_mixed(engines: tuple[int, ...]) -> None:
    graph = quantised(separable())
    schedule = mixed(graph, Engines(engines, 8), 1 << 30)
    assert_equals_golden(graph, schedule)
    if len(engines) > 1:  # depthwise then dense in one phase, on the next engine
        assert any({"layer2", "layer3"} <= set(phase.tasks) for phase in schedule.phases)


def test_expand_and_depthwise_share_a_phase() -> None:
    graph = quantised(separable())
    phases = [phase.tasks for phase in sequential(graph, 8, 8).phases]
    assert ("layer1", "layer2") in phases


def test_chosen_schedule() -> None:
    graph = quantised(separable())
    assert_equals_golden(graph, decide(graph, load_board("pynq-z2")).chosen.schedule)


@pytest.mark.parametrize("graph", [separable, signals])
def test_onnxruntime_agrees(graph: Callable[[], TaskGraph]) -> None:
    integers = quantised(graph())
    assert_exact(integers, stress_inputs(integers))


@pytest.mark.parametrize("graph", [separable, signals])
def test_graph_file(graph: Callable[[], TaskGraph], tmp_path: Any) -> None:
    integers = quantised(graph())
    save_graph(integers, tmp_path / "g.npz")
    loaded = load_graph(tmp_path / "g.npz")
    assert [task.operator for task in loaded.tasks] == [task.operator for task in integers.tasks]
    assert dict(loaded.tensors) == dict(integers.tensors)


def schedules(graph: TaskGraph) -> Sequence[Schedule]:
    engines = {task.name: 8 for task in graph.tasks if not isinstance(task.operator, DepthwiseConv)}
    return sequential(graph, 8, 8), dataflow(graph, 8, engines), mixed(graph, Engines((8, 8), 8), 1 << 30)


@pytest.mark.parametrize("graph", [separable, signals])
def test_cost_model_is_close_to_the_timed_simulation(graph: Callable[[], TaskGraph]) -> None:
    integers = quantised(graph())
    for schedule in schedules(integers):
        counted = TimedSimulation(lower(integers, schedule, "timed")).cycles()
        model = evaluate(integers, schedule, load_board("kv260")).cycles
        assert abs(counted - model) <= max(60, 0.03 * counted), (schedule.kind, counted, model)


def test_multipliers_are_counted() -> None:
    graph = quantised(separable())
    schedule = sequential(graph, 8, 16)
    assert multipliers(schedule) == (16 + 1) * 8
    hardware = build_hardware(graph, schedule)["depthwise"]
    assert hardware.resources(8, 8).dsp == 8
    board = load_board("kv260")
    found = evaluate(graph, schedule, board)
    assert lower_bound_cycles(graph, schedule, board, 200.0) <= found.cycles
    phase = next(run.phase for run in hardware.runs if run.task.name == "layer2")
    stage = next(stage for stage in hardware.stages(phase) if stage.kernel == "depthwise")
    output = graph.tensors["t2"]
    assert stage.trips == output.pixels * 2 * 9


# The front end


X = (1, 6, 9, 7)
IMPORTED: dict[str, tuple[list[onnx.NodeProto], tuple[int, ...], dict[str, Any], type]] = {
    "depthwise": (
        [node("Conv", ["x", "w", "b"], "y", group=6, pads=[1, 0, 1, 2], strides=[2, 1])],
        X,
        {"w": random(6, 1, 3, 3), "b": random(6)},
        DepthwiseConv,
    ),
    "multiplier": ([node("Conv", ["x", "w"], "y", group=6)], X, {"w": random(12, 1, 3, 2)}, Conv),
    "groups": ([node("Conv", ["x", "w"], "y", group=3)], X, {"w": random(9, 2, 3, 3)}, Conv),
    "batch norm": (
        [
            node("Conv", ["x", "w"], "c", group=6),
            node("BatchNormalization", ["c", "s", "t", "m", "v"], "n"),
            node("Relu", ["n"], "y"),
        ],
        X,
        {
            "w": random(6, 1, 3, 3),
            "s": random(6),
            "t": random(6, seed=1),
            "m": random(6, seed=2),
            "v": np.abs(random(6, seed=3)) + 0.5,
        },
        DepthwiseConv,
    ),
    "factor before": (
        [node("Mul", ["x", "s"], "m"), node("Add", ["m", "t"], "a"), node("Conv", ["a", "w"], "y", group=6)],
        X,
        {"w": random(6, 1, 3, 3), "s": random(1, 6, 1, 1), "t": random(1, 6, 1, 1, seed=1)},
        DepthwiseConv,
    ),
    "signal": (
        [node("Conv", ["x", "w", "b"], "y", kernel_shape=[3], pads=[1, 0], strides=[2], dilations=[2])],
        (1, 5, 20),
        {"w": random(4, 5, 3), "b": random(4)},
        Conv,
    ),
    "signal depthwise same": (
        [node("Relu", ["x"], "r"), node("Conv", ["r", "w"], "y", group=5, auto_pad="SAME_UPPER")],
        (1, 5, 20),
        {"w": random(5, 1, 4)},
        DepthwiseConv,
    ),
    "signal groups": ([node("Conv", ["x", "w"], "y", group=2)], (1, 6, 20), {"w": random(4, 3, 3)}, Conv),
    "signal max": (
        [node("MaxPool", ["x"], "y", kernel_shape=[3], strides=[2], pads=[1, 1], ceil_mode=1)],
        (1, 5, 20),
        {},
        MaxPool,
    ),
    "signal mean": (
        [node("AveragePool", ["x"], "y", kernel_shape=[3], pads=[1, 1], count_include_pad=1)],
        (1, 5, 20),
        {},
        AveragePool,
    ),
    "signal global": ([node("GlobalAveragePool", ["x"], "y")], (1, 5, 20), {}, AveragePool),
    "signal global max": ([node("GlobalMaxPool", ["x"], "y")], (1, 5, 20), {}, MaxPool),
}


@pytest.mark.parametrize("case", IMPORTED)
def test_import(case: str) -> None:
    nodes, shape, constants, kind = IMPORTED[case]
    graph = check_import(make_model(nodes, shape, constants))
    assert [
        type(task.operator) for task in graph.tasks if not isinstance(task.operator, AveragePool | Move)
    ] == ([] if kind is AveragePool else [kind])
    integers = quantised(graph)
    assert_exact(integers, stress_inputs(integers))


def test_an_affine_of_its_own_is_depthwise() -> None:
    nodes = [
        node("MaxPool", ["x"], "p", kernel_shape=[2, 2]),
        node("Mul", ["p", "s"], "m"),
        node("Relu", ["m"], "y"),
    ]
    graph = check_import(make_model(nodes, (1, 300, 4, 4), {"s": random(1, 300, 1, 1)}))
    assert [type(task.operator) for task in graph.tasks] == [MaxPool, DepthwiseConv]


def test_dense_groups_are_said_to_be_so() -> None:
    imported = import_model(
        make_model([node("Conv", ["x", "w"], "y", group=3)], X, {"w": random(9, 2, 3, 3)})
    )
    assert (
        imported.notes[-1] == "Conv n_y with 3 groups runs as a dense one, with zeros: 3 times the products"
    )


def test_block_diagonal() -> None:
    weight = np.arange(1.0, 13).reshape(4, 3, 1, 1)
    dense_weight = block_diagonal(weight, 2)[:, :, 0, 0]
    assert (dense_weight[:2, :3] == weight[:2, :, 0, 0]).all()
    assert (dense_weight[2:, 3:] == weight[2:, :, 0, 0]).all()
    assert not dense_weight[:2, 3:].any()
    assert not dense_weight[2:, :3].any()


def test_channels_last_are_moved_for_a_convolution() -> None:
    nodes = [node("MatMul", ["x", "m"], "p"), node("Conv", ["p", "w"], "y")]
    constants = {"m": random(6, 8), "w": random(3, 5, 3)}
    graph = passes.run(import_model(make_model(nodes, (1, 5, 6), constants)).graph)
    assert [task.operator.name for task in graph.tasks] == ["Dense", "Move", "Conv"]


# MobileNetV2, in small


def mobile_net(classes: int = 5, seed: int = 0) -> onnx.ModelProto:
    """Stem, inverted residuals with and without skip, a wide 1x1 convolution, global mean, classifier."""
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {}

    def layer(x: str, name: str, shape: tuple[int, ...], relu: bool = True, **attributes: Any) -> str:
        constants[f"{name}_w"] = rng.normal(0, 1.2 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        constants[f"{name}_b"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
        nodes.append(node("Conv", [x, f"{name}_w", f"{name}_b"], name, **attributes))
        if not relu:
            return name
        nodes.append(node("Clip", [name, "zero", "six"], f"{name}_6"))
        return f"{name}_6"

    def block(x: str, name: str, channels: int, outputs: int, stride: int) -> str:
        inner = 4 * channels
        wide = layer(x, f"{name}_expand", (inner, channels, 1, 1))
        pads = {"pads": [1, 1, 1, 1], "strides": [stride, stride]}
        deep = layer(wide, f"{name}_depthwise", (inner, 1, 3, 3), group=inner, **pads)
        narrow = layer(deep, f"{name}_project", (outputs, inner, 1, 1), relu=False)
        if stride == 1 and channels == outputs:
            nodes.append(node("Add", [x, narrow], f"{name}_add"))
            return f"{name}_add"
        return narrow

    constants |= {"zero": np.float32(0), "six": np.float32(6)}
    x = layer("x", "stem", (8, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    x = block(x, "b0", 8, 8, 1)
    x = block(x, "b1", 8, 12, 2)
    x = block(x, "b2", 12, 12, 1)
    x = layer(x, "head", (24, 12, 1, 1))
    nodes.append(node("GlobalAveragePool", [x], "mean"))
    nodes.append(node("Flatten", ["mean"], "flat"))
    constants |= {"fc_w": random(classes, 24), "fc_b": random(classes)}
    nodes.append(node("Gemm", ["flat", "fc_w", "fc_b"], "scores", transB=1))
    return make_model(nodes, ("N", 3, 24, 24), constants)


@pytest.mark.parametrize("schedule", ["auto", "sequential", "dataflow"])
def test_mobile_net(schedule: str) -> None:
    design = intarsia.compile(
        mobile_net(), board="kv260", schedule=schedule, fifo_sizing=schedule == "sequential"
    )
    operators = [task.operator.name for task in design.graph.tasks]
    assert operators.count("DepthwiseConv") == 3
    assert operators.count("Add") == 2
    assert_equals_golden(design.graph, design.decision.chosen.schedule)
    assert_exact(design.graph, stress_inputs(design.graph))
    counted, model = sum(design.phase_cycles), design.decision.chosen.cycles
    assert abs(counted - model) <= 0.03 * counted
    assert design.description["schedule"]["lower_bound_cycles"] <= model

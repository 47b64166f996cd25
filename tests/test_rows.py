"""Softmax and layer normalisation in every world: rows of channels, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import Layer, chain, quantised, stress_inputs
from machines import assert_equals_golden, check, pure_schedule
from onnx_models import make_model, node, random
from test_qdq import onnxruntime_trace

import intarsia
from intarsia import golden
from intarsia.board import load_board
from intarsia.fixed_point import FixedPoint
from intarsia.graph_file import load_graph, save_graph
from intarsia.machine.lower import lower
from intarsia.machine.units.kinds import build_hardware
from intarsia.ops.dense import Dense
from intarsia.ops.layer_norm import LayerNormalization, RMSNormalization
from intarsia.ops.log_softmax import LogSoftmax
from intarsia.ops.softmax import Softmax
from intarsia.quantise import QuantiseOptions
from intarsia.quantise.accumulators import accumulator_ranges
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.search import decide
from intarsia.simulation.timed import DeadlockError, TimedSimulation, size_fifos
from intarsia.task_graph import UNBOUNDED, TaskGraph
from intarsia.verify import assert_agrees, run
from intarsia.verify.edge import Edge, Verdict

KINDS = ("sequential", "dataflow")


def rows(shape: tuple[int, int], layers: Sequence[Layer], name: str = "rows") -> TaskGraph:
    """A float graph of layers on rows of features."""
    return chain(shape, layers, name, channel_axis=2)


def product(rng: np.random.Generator, depth: int, outputs: int) -> Layer:
    """A matrix product of every row."""
    return (
        Dense(2),
        {
            "weight": rng.normal(0, 1.5 / np.sqrt(depth), (outputs, depth)),
            "bias": rng.normal(0, 0.3, outputs),
        },
        UNBOUNDED,
    )


def norm(rng: np.random.Generator, channels: int, centre: bool = True, epsilon: float = 1e-5) -> Layer:
    """A normalisation with random gamma and beta."""
    kind = LayerNormalization if centre else RMSNormalization
    return (
        kind(2, epsilon),
        {"gamma": rng.normal(1, 0.3, channels), "beta": rng.normal(0, 0.5, channels)},
        UNBOUNDED,
    )


def softmax(channels: int, period: int = 0, first: int = 1) -> Layer:
    """A softmax."""
    return Softmax(2, channels, period, first), {}, UNBOUNDED


def every_kind() -> TaskGraph:
    """Norms and softmaxes of several lengths among matrix products; 13, 21 and 6 channels fill no word."""
    r = np.random.default_rng(0)
    return rows(
        (9, 13),
        [
            norm(r, 13),
            product(r, 13, 21),
            softmax(21),
            product(r, 21, 16),
            norm(r, 16, centre=False),
            product(r, 16, 9),
            softmax(9, period=9),
            (LogSoftmax(2, 9), {}, UNBOUNDED),
            product(r, 9, 6),
            (*norm(r, 6, epsilon=0.1)[:2], (0.0, 1.0)),
            softmax(6, period=4, first=2),
        ],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lanes", "outputs"), [(4, 8), (16, 4), (32, 32)])
def test_every_width_of_word(lanes: int, outputs: int, kind: str) -> None:
    check(every_kind(), kind, lanes, outputs)


@pytest.mark.parametrize("bits", [4, 7, 9, 12, 16])
def test_every_width_of_number(bits: int) -> None:
    check(every_kind(), "sequential", 8, 8, QuantiseOptions(8, bits))


@pytest.mark.parametrize("kind", KINDS)
def test_scales_and_zero_points_of_the_model(kind: str) -> None:
    r = np.random.default_rng(4)
    graph = rows((5, 13), [norm(r, 13), product(r, 13, 21), softmax(21, 5), product(r, 21, 6)])
    formats = {
        "x": FixedPoint.of_scale(8, 0.021, 5),
        "t0": FixedPoint.of_scale(8, 0.033, -7),
        "t1": FixedPoint.of_scale(8, 0.05, 11),
        "t2": FixedPoint.of_scale(8, 1 / 255, -128),
    }
    tensors = {name: replace(tensor, format=formats.get(name)) for name, tensor in graph.tensors.items()}
    machine = check(replace(graph, tensors=tensors), kind, 8, 8)
    assert machine.lanes == 8


def test_chosen_schedule_and_every_pure_one_agree_with_the_timed_simulation() -> None:
    graph = quantised(every_kind())
    board = load_board("kv260")
    chosen = decide(graph, board).chosen.schedule
    assert_equals_golden(graph, chosen)
    for schedule in (
        pure_schedule(graph, "sequential", 8, 8),
        pure_schedule(graph, "dataflow", 8, 8),
        chosen,
    ):
        counted = TimedSimulation(lower(graph, schedule, "timed")).cycles()
        model = evaluate(graph, schedule, board).cycles
        assert abs(counted - model) <= max(60, 0.03 * counted), (schedule.kind, counted, model)


def test_fifos_of_rows_are_sized() -> None:
    graph = quantised(every_kind())
    simulation = TimedSimulation(lower(graph, pure_schedule(graph, "sequential", 4, 8), "timed"))
    sized, timings = size_fifos(simulation)
    assert sum(timing.cycles for timing in timings) == simulation.cycles(
        {name: 1 << 20 for name in simulation.depths()}
    )
    depths = {stream.name: stream.depth for stream in sized.streams}
    assert depths["softmax_held"] >= 6  # words of the longest row
    with pytest.raises(DeadlockError, match="SoftmaxMaximum waits for 'softmax_held'"):
        simulation.time(depths | {"softmax_held": 2})


def test_odd_words_of_memory() -> None:
    hardware = build_hardware(
        quantised(every_kind()), pure_schedule(quantised(every_kind()), "sequential", 8, 8)
    )
    softmax_unit, norm_unit = hardware["softmax"].resources(8, 8), hardware["norm"].resources(8, 8)
    assert softmax_unit.dsp >= 8
    assert norm_unit.dsp >= 4 * 8
    assert softmax_unit.bram18 > 0


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
def test_onnxruntime_agrees_within_the_stated_bound(bits: int) -> None:
    """Each task on its own, for the inputs that it has there: exact but for the row operators."""
    graph = quantised(every_kind(), QuantiseOptions(8, bits))
    trace, ranges = onnxruntime_trace(graph, stress_inputs(graph)), accumulator_ranges(graph)
    for task in graph.tasks:
        found = golden.run_task(graph, task, [trace[name] for name in task.inputs])
        apart = int(np.abs(found - trace[task.output]).max())
        allowed = task.operator.tolerance(task.values) or int(not ranges[task.name].float32_exact)
        assert apart <= allowed, (task.operator, apart)


def test_graph_file(tmp_path: Path) -> None:
    graph = quantised(every_kind())
    save_graph(graph, tmp_path / "g.npz")
    loaded = load_graph(tmp_path / "g.npz")
    assert [task.operator for task in loaded.tasks] == [task.operator for task in graph.tasks]
    inputs = stress_inputs(graph)
    expected, found = golden.run(graph, inputs), golden.run(loaded, inputs)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


# From an ONNX model to the verdict


def transformer_block() -> onnx.ModelProto:
    """MatMul, layer norm as torch writes it, MatMul, softmax, MatMul: rows of 12, 20 and 10 features."""
    nodes = [
        node("MatMul", ["x", "w0"], "h"),
        node("ReduceMean", ["h"], "m", axes=[-1]),
        node("Sub", ["h", "m"], "d"),
        node("Pow", ["d", "two"], "p"),
        node("ReduceMean", ["p"], "v", axes=[-1]),
        node("Add", ["v", "eps"], "a"),
        node("Sqrt", ["a"], "r"),
        node("Div", ["d", "r"], "z"),
        node("Mul", ["z", "g"], "s"),
        node("Add", ["s", "b"], "n"),
        node("MatMul", ["n", "w1"], "q"),
        node("Softmax", ["q"], "t", axis=-1),
        node("MatMul", ["t", "w2"], "y"),
    ]
    constants = {
        "w0": random(12, 20),
        "w1": random(20, 10, seed=1),
        "w2": random(10, 7, seed=2),
        "g": random(20, seed=3) / 4 + 1,
        "b": random(20, seed=4) / 4,
        "two": np.float32(2),
        "eps": np.float32(1e-5),
    }
    return make_model(nodes, ("N", 8, 12), constants)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("schedule", ["sequential", "dataflow", "auto"])
def test_end_to_end(schedule: str, bits: int, tmp_path: Path) -> None:
    samples = tmp_path / "x.npy"
    np.save(samples, np.random.default_rng(0).normal(0, 1, (24, 8, 12)).astype(np.float32))
    design = intarsia.compile(
        transformer_block(), board="kv260", calibration=samples, schedule=schedule, activation_bits=bits
    )
    assert [task.operator.name for task in design.graph.tasks] == [
        "Dense", "LayerNormalization", "Dense", "Softmax", "Dense",
    ]  # fmt: skip
    report = run(design.write(tmp_path / "out"), samples, board="none")
    assert_agrees(report)
    for layer in report.layers:
        assert layer.edges[Edge.MAPPING].verdict in (Verdict.PASS, Verdict.GIVEN)
        alone = layer.edges[Edge.LOWERING].isolated
        if alone is not None:
            bound = 1 if layer.op in ("LayerNormalization", "Softmax") else int(bits == 16)
            assert alone.max_lsb <= bound, layer.name


@pytest.mark.parametrize(
    ("steps", "reason"), [(2, ""), (0.4, "LSB from the real value, at most 0.6 are allowed")]
)
def test_a_wrong_norm_is_found_behind_its_tolerance(tmp_path: Path, steps: float, reason: str) -> None:
    """One LSB of the rounded result is allowed of a norm for its own inputs, and 0.6 of the real one."""
    samples = tmp_path / "x.npy"
    np.save(samples, np.random.default_rng(0).normal(0, 1, (8, 8, 12)).astype(np.float32))
    design = intarsia.compile(
        transformer_block(), calibration=samples, schedule="sequential", fifo_sizing=False
    )
    project = design.write(tmp_path / "out")
    graph = load_graph(project / "golden.npz")
    wrong = next(task for task in graph.tasks if task.operator.name == "LayerNormalization")
    beta = wrong.parameters["beta"]
    step = graph.output_tensor(wrong).number.scale / beta.number.scale
    shifted = replace(beta, values=beta.values + round(steps * step))
    parameters = {**wrong.parameters, "beta": shifted}
    tasks = tuple(replace(task, parameters=parameters) if task is wrong else task for task in graph.tasks)
    save_graph(replace(graph, tasks=tasks), project / "golden.npz")
    first = run(project, samples, board="none").first_divergence
    assert first is not None
    assert (first.layer, str(first.edge)) == (wrong.name, "lowering")
    assert reason in str(first)


def test_a_wrong_weight_is_found_behind_tolerances_of_others(tmp_path: Path) -> None:
    """The QDQ model judges each task of the golden from the golden's own inputs, which differ from its own by an LSB."""
    samples = tmp_path / "x.npy"
    np.save(samples, np.random.default_rng(0).normal(0, 1, (8, 8, 12)).astype(np.float32))
    design = intarsia.compile(
        transformer_block(), calibration=samples, schedule="sequential", fifo_sizing=False
    )
    project = design.write(tmp_path / "out")
    graph = load_graph(project / "golden.npz")
    wrong = [task for task in graph.tasks if "weight" in task.parameters][-1]
    weight = wrong.parameters["weight"]
    values = weight.values.copy()
    values.reshape(-1)[np.argmax(np.abs(values))] //= 2
    parameters = {**wrong.parameters, "weight": replace(weight, values=values)}
    tasks = tuple(replace(task, parameters=parameters) if task is wrong else task for task in graph.tasks)
    save_graph(replace(graph, tasks=tasks), project / "golden.npz")
    first = run(project, samples, board="none").first_divergence
    assert first is not None
    assert (first.layer, str(first.edge)) == (wrong.name, "lowering")

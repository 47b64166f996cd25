"""Formats that a model brings along: any scale, zero points, rounding modes, in golden, ONNX Runtime and C-simulation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from graphs import chain, conv, stress_inputs
from hypothesis import given
from hypothesis import strategies as st
from machines import assert_equals_golden, pure_schedule
from test_requantisation import assert_all_agree

from intarsia import golden
from intarsia.arithmetic.requantisation import fixed_multiplier
from intarsia.arithmetic.rounding import divide, round_real
from intarsia.fixed_point import FixedPoint, Rounding
from intarsia.graph_file import load_graph, save_graph
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.combine import Add, Combine, Max, Mul, Sub
from intarsia.ops.dense import Dense
from intarsia.ops.depthwise_conv import DepthwiseConv
from intarsia.ops.max_pool import MaxPool
from intarsia.quantise import quantise
from intarsia.quantise.histogram import histogram
from intarsia.task_graph import UNBOUNDED, Parameter, Task, TaskGraph, Tensor


def kept(graph: TaskGraph, formats: dict[str, FixedPoint], steps: dict[str, np.ndarray]) -> TaskGraph:
    """Quantised with formats given to tensors, and steps to the weights of tasks."""
    tensors = {name: replace(tensor, format=formats.get(name)) for name, tensor in graph.tensors.items()}
    tasks = []
    for task in graph.tasks:
        parameters = dict(task.parameters)
        if task.name in steps:
            values, own = parameters["weight"].values, steps[task.name]
            along = own.reshape(-1, *[1] * (values.ndim - 1))
            raw = np.clip(np.rint(values / along), -127, 127)
            parameters["weight"] = Parameter(raw * along, steps=own)
        tasks.append(replace(task, parameters=parameters))
    given_formats = replace(graph, tensors=tensors, tasks=tuple(tasks))
    real = golden.run_float(
        given_formats, {"x": np.random.default_rng(9).normal(size=(8, *graph.tensors["x"].shape))}
    )
    return quantise(given_formats, {name: histogram(values) for name, values in real.items()})


def unlike(seed: int, power_of_two: bool = False, rounding: Rounding = Rounding.HALF_EVEN) -> TaskGraph:
    """All units, each tensor with a scale and a zero point of its own."""
    rng = np.random.default_rng(seed)
    depthwise = (
        DepthwiseConv((3, 3), pads=(1, 1, 1, 1)),
        {"weight": rng.normal(0, 0.3, (6, 1, 3, 3))},
        (0.0, 2.0),
    )
    graph = chain(
        (3, 8, 7),
        [
            conv(rng, 3, 6, kernel=(3, 3), pads=(1, 0, 1, 2)),
            depthwise,
            (MaxPool((2, 2), (1, 1)), {}, UNBOUNDED),
            (AveragePool((2, 3), (1, 2), pads=(1, 0, 0, 1)), {}, UNBOUNDED),
            (Dense(1), {"weight": rng.normal(0, 0.2, (5, 6 * 7 * 3)), "bias": rng.normal(size=5)}, UNBOUNDED),
        ],
    )
    formats = {}
    for name, size in {"x": 4.0, "t0": 3.0, "t1": 2.0, "t3": 2.0, "t4": 9.0}.items():
        scale = size / 255 * rng.uniform(1, 2)
        scale = 2.0 ** np.floor(np.log2(scale)) if power_of_two else scale
        mode = rounding if name in ("t0", "t1", "t4") else Rounding.HALF_EVEN
        formats[name] = FixedPoint.of_scale(8, scale, int(rng.integers(-128, 128)), mode)
    steps = {}
    for task, count in (("layer0", 6), ("layer1", 6), ("layer4", 5)):
        values = 0.01 * rng.uniform(0.3, 1, count)
        steps[task] = 2.0 ** np.floor(np.log2(values)) if power_of_two else values
    return kept(graph, formats, steps)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["sequential", "dataflow"])
def test_simulation_is_the_golden(seed: int, kind: str) -> None:
    graph = unlike(seed)
    assert_equals_golden(graph, pure_schedule(graph, kind, 4, 2 << seed))


def test_powers_of_two_with_zero_points_are_exact_in_onnxruntime() -> None:
    assert_all_agree(unlike(5, power_of_two=True))


@pytest.mark.parametrize("rounding", list(Rounding))
def test_rounding_modes_in_all_worlds(rounding: Rounding) -> None:
    graph = unlike(7, power_of_two=True, rounding=rounding)
    if rounding is Rounding.SIGN:
        graph = unlike(8, rounding=rounding)
        assert_equals_golden(graph, pure_schedule(graph, "sequential", 4, 4))
        assert set(np.unique(golden.run(graph, stress_inputs(graph))["t4"])) <= {
            graph.tensors["t4"].number.zero + sign for sign in (-1, 1)
        } | {-128, 127}
        return
    assert_all_agree(graph)


@pytest.mark.parametrize("operator", [Add(), Sub(), Mul(), Max()])
@pytest.mark.parametrize("power_of_two", [True, False])
def test_two_operands_of_unlike_scales(operator: Combine, power_of_two: bool) -> None:
    rng = np.random.default_rng(1)
    first, parameters, _ = conv(rng, 2, 5, kernel=(1, 1))
    second, others, _ = conv(rng, 2, 5, kernel=(1, 1))
    shape = (1, 5, 3, 4)
    tensors = {"x": Tensor("x", (1, 2, 3, 4), 1), **{name: Tensor(name, shape, 1) for name in "aby"}}
    tasks = (
        Task("first", first, ("x",), "a", {role: Parameter(value) for role, value in parameters.items()}),
        Task("second", second, ("x",), "b", {role: Parameter(value) for role, value in others.items()}),
        Task("both", operator, ("a", "b"), "y", clamp=(-0.5, 1.0)),
    )
    scales = {"x": 2.0**-5, "a": 2.0**-6, "b": 2.0**-7, "y": 2.0**-6}
    if not power_of_two:
        scales = {name: scale * rng.uniform(1, 2) for name, scale in scales.items()}
    formats = {
        name: FixedPoint.of_scale(8, scale, int(rng.integers(-99, 99))) for name, scale in scales.items()
    }
    graph = kept(TaskGraph("two", ("x",), ("y",), tensors, tasks), formats, {})
    assert_all_agree(graph)
    raw = golden.run(graph, stress_inputs(graph))
    a, b, y = (graph.tensors[name].number for name in "aby")
    exact = {Add: np.add, Sub: np.subtract, Mul: np.multiply, Max: np.maximum}[type(operator)](
        a.dequantise(raw["a"]), b.dequantise(raw["b"])
    )
    assert np.abs(np.clip(exact, -0.5, 1.0) / y.scale + y.zero - raw["y"])[np.abs(raw["y"]) < 127].max() < 1


def test_graph_file_keeps_formats(tmp_path) -> None:  # type: ignore[no-untyped-def]
    graph = unlike(3, rounding=Rounding.HALF_UP)
    save_graph(graph, tmp_path / "g.npz")
    again = load_graph(tmp_path / "g.npz")
    assert again.tensors == graph.tensors
    for one, other in zip(again.tasks, graph.tasks, strict=True):
        assert {role: p.format for role, p in one.parameters.items()} == {
            role: p.format for role, p in other.parameters.items()
        }


@given(st.floats(1e-30, 1e6), st.integers(8, 31))
def test_multiplier_is_as_exact_as_its_bits(ratio: float, bits: int) -> None:
    multiplier, shift = fixed_multiplier(ratio, bits)
    assert 0 <= multiplier < 1 << bits
    error = abs(Fraction(multiplier) / Fraction(2) ** shift - Fraction(ratio))
    assert error <= max(Fraction(ratio) / 2 ** (bits - 1), Fraction(1, 2**60))


SPECIFIED = {
    Rounding.HALF_EVEN: {-2.5: -2, -1.5: -2, -0.5: 0, 0.5: 0, 1.5: 2, 1.2: 1, -1.7: -2},
    Rounding.HALF_ODD: {-2.5: -3, -1.5: -1, -0.5: -1, 0.5: 1, 1.5: 1, 1.2: 1, -1.7: -2},
    Rounding.FLOOR: {-2.5: -3, -1.5: -2, -0.5: -1, 0.5: 0, 1.5: 1, 1.2: 1, -1.7: -2},
    Rounding.CEIL: {-2.5: -2, -1.5: -1, -0.5: 0, 0.5: 1, 1.5: 2, 1.2: 2, -1.7: -1},
    Rounding.DOWN: {-2.5: -2, -1.5: -1, -0.5: 0, 0.5: 0, 1.5: 1, 1.2: 1, -1.7: -1},
    Rounding.UP: {-2.5: -3, -1.5: -2, -0.5: -1, 0.5: 1, 1.5: 2, 1.2: 2, -1.7: -2},
    Rounding.HALF_DOWN: {-2.5: -2, -1.5: -1, -0.5: 0, 0.5: 0, 1.5: 1, 1.2: 1, -1.7: -2},
    Rounding.HALF_UP: {-2.5: -3, -1.5: -2, -0.5: -1, 0.5: 1, 1.5: 2, 1.2: 1, -1.7: -2},
    Rounding.SIGN: {-2.5: -1, -0.5: -1, 0.0: 1, 0.5: 1, 1.5: 1},
}


@pytest.mark.parametrize("rounding", list(Rounding))
def test_rounding_modes(rounding: Rounding) -> None:
    for value, expected in SPECIFIED[rounding].items():
        assert round_real(np.array(value), rounding) == expected, value
        assert divide(np.array(round(value * 10) << 2), 5, 3, rounding) == expected, value
    whole = np.arange(-3, 4)
    if rounding is not Rounding.SIGN:
        assert round_real(whole.astype(float), rounding).tolist() == whole.tolist()
        assert divide(whole, 1, 0, rounding).tolist() == whole.tolist()

"""Constant tensors as operands: in tables of formats, in every schedule, bit for bit, and from ONNX."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import quantised, stress_inputs
from machines import assert_equals_golden, pure_schedule
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_qdq import assert_exact

from intarsia.machine.units.kinds import build_hardware
from intarsia.ops.constant import ConstantTensor
from intarsia.quantise import QuantiseOptions
from intarsia.quantise.exponents import choose_constant_format
from intarsia.schedule.mixed import PhaseCosts, mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.pure import sequential
from intarsia.task_graph import TaskGraph

IMAGE = (1, 3, 6, 5)
CASES = {
    "add_position": ([node("Add", ["x", "c"], "y")], IMAGE, {"c": random(3, 6, 5)}),
    "subtract_from_rows": ([node("Sub", ["c", "x"], "y")], IMAGE, {"c": random(6, 1)}),
    "mask_of_pixels": ([node("Mul", ["x", "c"], "y")], IMAGE, {"c": np.eye(6, 5)}),
    "divide": ([node("Div", ["x", "c"], "y")], IMAGE, {"c": np.abs(random(1, 1, 6, 5)) + 0.5}),
    "maximum": ([node("Max", ["x", "c"], "y")], IMAGE, {"c": random(3, 1, 1)}),
    "minimum": ([node("Min", ["c", "x"], "y")], IMAGE, {"c": random(1, 6, 5)}),
    "embedding": ([node("Add", ["c", "x"], "y")], (1, 7, 10), {"c": random(1, 7, 10)}),
    "matrices": ([node("MatMul", ["x", "c"], "y")], (1, 2, 5, 6), {"c": random(2, 6, 3)}),
    "matrices_first": ([node("MatMul", ["c", "x"], "y")], (1, 2, 5, 6), {"c": random(2, 3, 5)}),
}


def imported(case: str) -> TaskGraph:
    nodes, shape, constants = CASES[case]
    return check_import(make_model(nodes, shape, constants))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "lanes", "bits"), [("sequential", 4, 8), ("dataflow", 8, 16)])
def test_simulation_equals_the_golden(case: str, kind: str, lanes: int, bits: int) -> None:
    integers = quantised(imported(case), QuantiseOptions(bits, bits))
    assert any(isinstance(task.operator, ConstantTensor) for task in integers.tasks)
    assert_equals_golden(integers, pure_schedule(integers, kind, lanes, 4))


@pytest.mark.parametrize("case", CASES)
def test_onnx_runtime_agrees_with_the_golden(case: str) -> None:
    integers = quantised(imported(case))
    assert_exact(integers, stress_inputs(integers))


def several() -> TaskGraph:
    """Two projections, each with an embedding, and a gate: two tasks have the same constant."""
    nodes = [
        node("MatMul", ["x", "v"], "a"),
        node("Add", ["a", "c"], "b"),
        node("MatMul", ["b", "w"], "d"),
        node("Mul", ["d", "g"], "e"),
        node("Add", ["e", "c"], "y"),
    ]
    constants = {
        "v": random(6, 8),
        "w": random(8, 8, seed=1),
        "c": random(7, 8),
        "g": random(7, 8, seed=2),
    }
    return check_import(make_model(nodes, (1, 7, 6), constants))


def test_equal_constants_share_their_words() -> None:
    integers = quantised(several())
    schedule = sequential(integers, 4, 4)
    (unit,) = [unit for unit in schedule.units if unit.kind == "constant"]
    hardware = build_hardware(integers, schedule)[unit.name]
    assert len(hardware.runs) == 3
    assert hardware.entries == 2 * 7 * 2  # type: ignore[attr-defined]
    assert_equals_golden(integers, schedule)


@pytest.mark.parametrize("outputs", [(4, 4), (8, 4, 4)])
def test_mixed_schedules_take_constants_along(outputs: tuple[int, ...]) -> None:
    integers = quantised(several())
    schedule = mixed(integers, Engines(outputs, 4), 1 << 20)
    for phase in schedule.phases:
        assert {task.output for task in map(integers.task, phase.tasks) if not task.inputs} <= {
            name for task in map(integers.task, phase.tasks) for name in task.inputs
        }
    assert_equals_golden(integers, schedule)


@pytest.mark.parametrize(
    "values",
    [[0.0, 1.0], [-1.0, 0.0, 0.75], [0.0, 0.0], [3.0 * 2**-20, -(2.0**-19)], [96.0, -(2.0**7)]],
)
def test_formats_that_can_are_exact(values: list[float]) -> None:
    reals = np.array(values)
    found = choose_constant_format(reals, 8)
    np.testing.assert_array_equal(found.dequantise(found.quantise(reals)), reals)


def test_other_values_have_the_format_of_least_error() -> None:
    reals = np.linspace(-1, 1, 1000)
    found = choose_constant_format(reals, 8)
    assert np.abs(found.dequantise(found.quantise(reals)) - reals).max() <= found.scale
    assert found.exponent == -7


def test_a_link_backwards_on_other_engines_is_not_taken_for_legal() -> None:
    """Engines of the same sizes in another order: what ran on the second engine would have to run on the first."""
    integers = quantised(attention())
    costs: PhaseCosts = {}
    for outputs in ((4, 8), (8, 4)):
        assert_equals_golden(integers, mixed(integers, Engines(outputs, 8), 1 << 20, costs))


def attention() -> TaskGraph:
    """Scores with a constant bias for each position, and a softmax between the products."""
    nodes = [
        node("MatMul", ["x", "w"], "q"),
        node("Transpose", ["x"], "k", perm=[0, 2, 1]),
        node("MatMul", ["q", "k"], "s"),
        node("Add", ["s", "c"], "b"),
        node("Softmax", ["b"], "p", axis=-1),
        node("MatMul", ["p", "x"], "y"),
    ]
    return check_import(make_model(nodes, (1, 7, 8), {"w": random(8, 8), "c": random(7, 7)}))

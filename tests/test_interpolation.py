"""Functions of inputs of 13 to 16 bits: straight lines, within a bound, and the same integers in C++."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import chain, quantised, stress_inputs
from machines import assert_equals_golden, check
from test_mixed import PLENTY
from test_qdq import onnxruntime_trace
from test_requantisation import builds
from test_table import CASES, activation, every_value, network, one_function

from intarsia import golden
from intarsia.arithmetic.interpolation import MOST_ERROR, MOST_SEGMENTS, SLOPE_BITS, fit_lines, interpolate
from intarsia.arithmetic.table_values import table_values
from intarsia.errors import IntarsiaError
from intarsia.fixed_point import FixedPoint
from intarsia.graph_file import load_graph, save_graph
from intarsia.machine.run import Run
from intarsia.machine.units.interpolation import build_interpolation
from intarsia.ops.powers import Exp, Reciprocal, Sqrt
from intarsia.ops.sigmoids import Sigmoid, Swish, Tanh
from intarsia.ops.signs_and_steps import Ceil, Round
from intarsia.ops.table import Table
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Unit, Weights
from intarsia.task_graph import UNBOUNDED

FORMATS = (
    (FixedPoint(16, -12), FixedPoint(16, -14)),
    (FixedPoint(16, -8), FixedPoint(16, -10)),
    (FixedPoint(13, -9), FixedPoint(13, -9)),
    (FixedPoint(14, -10), FixedPoint(8, -5)),
)
STEPPED = {Ceil(), Round()}
"""With 256 steps that lie beside multiples of a power of two, one input after it or before it."""


@pytest.mark.parametrize("operator", CASES, ids=str)
def test_every_input_is_within_the_bound(operator: Table) -> None:
    """And never beyond the table's own range, so that no clamp is needed behind."""
    task = chain((4,), [(operator, {}, UNBOUNDED)]).tasks[0]
    for source, output in FORMATS:
        table = table_values(task, source, output)
        lines = fit_lines(table)
        if lines is None:
            assert operator in STEPPED
            continue
        found = interpolate(np.arange(len(table)), source.bits, lines)
        assert np.abs(found - table).max() <= MOST_ERROR
        assert found.min() >= table.min()
        assert found.max() <= table.max()
        assert len(lines.bases) <= 1200 or operator in STEPPED
        assert np.abs(lines.bases).max() < 1 << 30
        assert np.abs(lines.slopes).max() < 1 << (SLOPE_BITS - 1)


def test_noise_has_no_lines() -> None:
    table = np.random.default_rng(0).integers(-1000, 1000, 1 << 16)
    assert fit_lines(table) is None


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(IntarsiaError, match=rf"'layer0' \(Round\).*16-bit input 'x'.*{MOST_SEGMENTS}.*12"):
        one_function(Round(), FixedPoint(16, -8), FixedPoint(16, -8))


@pytest.mark.parametrize("operator", [Sigmoid(), Exp(), Sqrt(), Reciprocal(), CASES[-1]], ids=str)
def test_simulation_is_the_golden_for_every_input(operator: Table) -> None:
    """In C++, and within the bound of ONNX Runtime."""
    source, output = FORMATS[0]
    graph = one_function(operator, source, output)
    for flags in builds():
        assert_equals_golden(graph, mixed(graph, Engines((4,), 8), PLENTY), flags)
    raw = every_value(source)[np.newaxis, np.newaxis]
    apart = golden.run(graph, {"x": raw})["t0"] - onnxruntime_trace(graph, {"x": raw})["t0"]
    assert np.abs(apart).max() <= graph.tasks[0].operator.tolerance(graph.tasks[0].values)


@pytest.mark.parametrize("bits", [13, 16])
@pytest.mark.parametrize(("kind", "lanes"), [("sequential", 4), ("dataflow", 8)])
def test_network(kind: str, lanes: int, bits: int) -> None:
    check(network(), kind, lanes, 4, QuantiseOptions(8, bits))


def test_a_clamp_is_in_the_lines() -> None:
    integers = quantised(chain((6,), [(Tanh(), {}, (0.0, 0.5))]), QuantiseOptions(8, 16))
    (task,) = integers.tasks
    raw = np.broadcast_to(every_value(integers.tensors["x"].number)[:, np.newaxis, np.newaxis], (65536, 1, 6))
    found = golden.run_task(integers, task, [raw])
    assert found.min() == 0
    assert found.max() == 0.5 / integers.tensors["t0"].number.scale


def test_memory_is_counted_per_two_lanes() -> None:
    integers = quantised(network(), QuantiseOptions(8, 16))
    runs = [Run(0, task) for task in integers.tasks if isinstance(task.operator, Table)]
    unit = build_interpolation(integers, Unit("lines", "interpolation"), runs, 16, Weights.RESIDENT)
    assert unit.sections == 128 * len(runs)
    assert 128 * len(runs) < unit.segments < 512 * len(runs)
    assert unit.resources(16, 16).bram18 == 2 * unit.resources(8, 16).bram18 > 0
    assert unit.resources(16, 16).dsp == 16


def test_graph_file_keeps_lines(tmp_path: Path) -> None:
    integers = quantised(chain((5,), [activation(Swish(2.0))]), QuantiseOptions(8, 16))
    save_graph(integers, tmp_path / "graph.npz")
    inputs = stress_inputs(integers)
    np.testing.assert_equal(
        golden.run(load_graph(tmp_path / "graph.npz"), inputs), golden.run(integers, inputs)
    )

"""The one rounding of a task, in golden, ONNX Runtime and C-simulation: shifts by channel, divisors, narrow sums."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import RELU, Layer, chain, conv, dense, quantised, stress_inputs
from machines import assert_equals_golden, pure_schedule
from test_qdq import assert_exact

from intarsia.arithmetic.requantisation import Requantisation, requantisation
from intarsia.fixed_point import ChannelFormat, FixedPoint
from intarsia.machine.hardware import sum_bits
from intarsia.machine.lower import lower
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.conv import Conv
from intarsia.quantise import QuantiseOptions, accumulator_ranges
from intarsia.task_graph import UNBOUNDED, TaskGraph


def builds() -> list[tuple[str, ...]]:
    """Flags of the native build, and of one with exact integers where their headers are installed."""
    found: list[tuple[str, ...]] = [()]
    spec = importlib.util.find_spec("da4ml")
    if spec is not None and spec.origin is not None:
        headers = next(iter(Path(spec.origin).parent.rglob("ap_int.h")), None)
        if headers is not None:
            found.append(("-DINTARSIA_AP_INT", f"-I{headers.parent}", "-w"))
    return found


def assert_all_agree(graph: TaskGraph, kind: str = "sequential", lanes: int = 4, outputs: int = 4) -> None:
    """Golden, ONNX Runtime where float32 is exact, and both builds of the C-simulation."""
    if all(found.float32_exact for found in accumulator_ranges(graph).values()):
        assert_exact(graph, stress_inputs(graph))
    for flags in builds():
        assert_equals_golden(graph, pure_schedule(graph, kind, lanes, outputs), flags)


def uneven(seed: int = 0) -> TaskGraph:
    """Layers whose output channels differ in size by some binary orders; one has no weights."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for layer in (conv(rng, 3, 7, kernel=(3, 3)), conv(rng, 7, 10, bias=False, kernel=(2, 2))):
        sizes = 2.0 ** rng.uniform(-6, 0, len(layer[1]["weight"]))
        sizes[1] = 0
        layers.append(
            (layer[0], {**layer[1], "weight": layer[1]["weight"] * sizes[:, None, None, None]}, RELU)
        )
    return chain((3, 7, 6), [*layers, (AveragePool((2, 2)), {}, UNBOUNDED), dense(rng, 10 * 3 * 2, 5)])


@pytest.mark.parametrize(("kind", "lanes", "outputs"), [("sequential", 4, 2), ("dataflow", 4, 8)])
def test_channels_with_their_own_units(kind: str, lanes: int, outputs: int) -> None:
    graph = quantised(uneven())
    found = [requantisation(graph, task) for task in graph.tasks]
    assert [one.per_channel for one in found[:3]] == [True, True, False]
    assert len(set(found[0].shifts)) > 2
    assert_all_agree(graph, kind, lanes, outputs)


def test_shifts_are_in_memory_only_where_channels_differ() -> None:
    for per_channel, expected in ((False, "kWordLanes"), (True, "2 * kWordLanes")):
        graph = quantised(uneven(), QuantiseOptions(per_channel=per_channel))
        machine = lower(graph, pure_schedule(graph, "sequential", 4, 4), "battery")
        values = {c.value for config in machine.configs for c in config.constants if c.name == "kBiasLanes"}
        assert values == {expected}


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_sums_narrower_than_the_output(bits: int) -> None:
    """A layer of zeros: its sums need no bits, but the rounding and the clamp's bounds do."""
    zeros = (Conv((2, 2)), {"weight": np.zeros((3, 2, 2, 2))}, UNBOUNDED)
    graph = quantised(chain((2, 5, 4), [zeros]), QuantiseOptions(8, bits))
    task = graph.tasks[0]
    assert sum_bits(graph, task) >= bits + 2
    assert_all_agree(graph)
    coarse = replace(graph.tensors["t0"], format=FixedPoint(bits, graph.tensors["t0"].number.exponent + 20))
    graph = graph.with_tasks(graph.tasks, {**graph.tensors, "t0": coarse})
    assert sum_bits(graph, task) >= requantisation(graph, task).right + 2
    assert_all_agree(graph)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kernel", [(7, 7), (8, 8), (3, 2), (1, 1)])
def test_means_in_finer_steps_than_their_sum(kernel: tuple[int, int], bits: int) -> None:
    """From the finest step that shows anything to a coarse one; powers of two in the divisor are shifts."""
    graph = quantised(chain((3, 8, 9), [(AveragePool(kernel), {}, UNBOUNDED)]), QuantiseOptions(8, bits))
    unit, divisor = graph.tensors["x"].number.exponent, kernel[0] * kernel[1]
    for exponent in range(unit - (divisor - 1).bit_length(), unit + 3, 3):
        tensor = replace(graph.tensors["t0"], format=FixedPoint(bits, exponent))
        changed = graph.with_tasks(graph.tasks, {**graph.tensors, "t0": tensor})
        found = requantisation(changed, changed.tasks[0])
        assert found.divisor % 2 == 1
        assert found.divisor * 2.0 ** found.shifts[0] == divisor * 2.0 ** (exponent - unit)
        assert_exact(changed, stress_inputs(changed))
    assert_all_agree(graph)


def test_a_requantisation_of_each_channel() -> None:
    found = Requantisation((0, 1, 3), 1, -5, 7)
    raw = np.array([[[[-9, 5, 9]], [[-3, 5, 99]], [[-4, 12, 20]]]])[:, np.newaxis]  # 1 sample, (1, 3, 1, 3)
    expected = [[[-5, 5, 7]], [[-2, 2, 7]], [[0, 2, 2]]]
    assert found.apply(raw, 1)[0, 0].tolist() == expected
    assert (found.left, found.right, found.further_shifts(3).tolist()) == (0, 3, [0, 1, 3])
    assert Requantisation((-2,), 3, 0, 9).left == 2


def test_one_format_serves_channels_that_agree() -> None:
    """As with --per-tensor: no memory for shifts, no scale by axis."""
    rng = np.random.default_rng(0)
    same = rng.permuted(np.tile(rng.normal(0, 0.3, 12), (4, 1)), axis=1)
    graph = quantised(chain((12,), [(dense(rng, 12, 4)[0], {"weight": same}, UNBOUNDED)]))
    assert isinstance(graph.tasks[0].parameters["weight"].number, FixedPoint)
    assert isinstance(quantised(uneven()).tasks[0].parameters["weight"].number, ChannelFormat)

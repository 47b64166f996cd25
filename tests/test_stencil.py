"""Images of one channel, whose pixels lie side by side in words: stencils, row pools, and pixels that are repeated."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from graphs import quantised, stress_inputs
from machines import assert_equals_golden, check, pure_schedule
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_qdq import assert_exact

from intarsia import passes
from intarsia.board import load_board
from intarsia.frontend import import_model
from intarsia.machine.lower import lower
from intarsia.machine.units.kinds import kind_of
from intarsia.ops.stencil import Stencil
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.bounds import multipliers
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.plan import ScheduleError
from intarsia.schedule.search import decide
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import TaskGraph


def image(nodes: list[Any], height: int, width: int, **constants: Any) -> TaskGraph:
    """The task graph of nodes on an image of one channel, after all passes."""
    graph = passes.run(import_model(make_model(nodes, (1, 1, height, width), constants)).graph)
    assert len({tensor.channel_axis for tensor in graph.tensors.values()} | {3}) == 1, (
        "no order but that of rows"
    )
    return graph


def one_conv(
    kernel: tuple[int, int], stride: int, pads: tuple[int, ...], height: int, width: int
) -> TaskGraph:
    """A convolution with a bias, and a Relu."""
    nodes = [
        node("Conv", ["x", "w", "b"], "c", kernel_shape=kernel, strides=[stride] * 2, pads=pads),
        node("Relu", ["c"], "y"),
    ]
    return image(nodes, height, width, w=random(1, 1, *kernel), b=np.array([0.3]))


def pyramid(height: int = 20, width: int = 18) -> TaskGraph:
    """Convolutions on three sizes of an image: repeated pixels, maxima, a skip connection and a sigmoid."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], "c1", kernel_shape=[3, 3], pads=[1] * 4),
        node("Relu", ["c1"], "r1"),
        node(
            "Resize",
            ["r1", "", "scales"],
            "u",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        node("Conv", ["u", "w2"], "c2", kernel_shape=[3, 3], pads=[1] * 4),
        node("MaxPool", ["c2"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Add", ["p", "r1"], "a"),
        node("Conv", ["a", "w3"], "c3", kernel_shape=[5, 4], pads=[2, 1, 2, 2]),
        node("Sigmoid", ["c3"], "y"),
    ]
    return image(
        nodes,
        height,
        width,
        w1=random(1, 1, 3, 3),
        b1=np.array([-0.4]),
        w2=random(1, 1, 3, 3, seed=1),
        w3=random(1, 1, 5, 4, seed=2),
        scales=np.array([1.0, 1.0, 2.0, 2.0]),
    )


CONVOLUTIONS = {
    "same": ((3, 3), 1, (1, 1, 1, 1), 9, 37),
    "valid": ((3, 3), 1, (0, 0, 0, 0), 9, 32),
    "even kernel": ((2, 4), 1, (0, 3, 1, 0), 8, 33),
    "row": ((1, 5), 1, (0, 2, 0, 2), 6, 40),
    "column": ((5, 1), 1, (3, 0, 0, 0), 7, 16),
    "stride 2": ((3, 3), 2, (1, 1, 1, 1), 11, 45),
    "stride 3, rows left over": ((2, 2), 3, (0, 0, 0, 0), 10, 35),
    "wider result": ((3, 5), 1, (2, 4, 2, 4), 5, 32),
    "narrow": ((3, 3), 1, (1, 1, 1, 1), 6, 3),
}


@pytest.mark.parametrize("lanes", [4, 16, 32])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, lanes: int) -> None:
    graph = one_conv(*CONVOLUTIONS[name])
    (task,) = graph.tasks
    assert isinstance(task.operator, Stencil)
    check(graph, "sequential", lanes, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "stride"), [*product([(3, 3), (2, 5), (7, 1)], [1, 2, 4]), ((9, 9), 1)])
def test_every_padding(kernel: tuple[int, int], stride: int) -> None:
    for pads in product(range(min(kernel[0], 3)), range(min(kernel[1], 3)), (0, 1), (0, 1)):
        for width in (15, 16, 17):
            check(one_conv(kernel, stride, pads, 12, width), "sequential", 8, 4)


@pytest.mark.parametrize(
    ("kernel", "stride", "pads"), [((2, 2), 2, (0,) * 4), ((3, 3), 2, (1,) * 4), ((3, 2), 1, (0, 1, 2, 0))]
)
@pytest.mark.parametrize("kind", ["sequential", "dataflow"])
def test_pools(kernel: tuple[int, int], stride: int, pads: tuple[int, ...], kind: str) -> None:
    nodes = [
        node("Conv", ["x", "w"], "c", kernel_shape=[3, 3], pads=[1] * 4),
        node("MaxPool", ["c"], "m", kernel_shape=kernel, strides=[stride] * 2, pads=pads),
        node("Relu", ["m"], "y"),
    ]
    check(image(nodes, 9, 35, w=random(1, 1, 3, 3)), kind, 8, 4)


@pytest.mark.parametrize(("times", "lanes"), [((2, 2), 4), ((1, 4), 8), ((3, 1), 16), ((2, 4), 32)])
def test_repeated_pixels_come_a_word_per_cycle(times: tuple[int, int], lanes: int) -> None:
    nodes = [
        node("Conv", ["x", "w"], "c", kernel_shape=[3, 3], pads=[1] * 4),
        node(
            "Resize",
            ["c", "", "scales"],
            "u",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        node("Conv", ["u", "w"], "y", kernel_shape=[3, 3], pads=[1] * 4),
    ]
    graph = quantised(
        image(nodes, 7, 13, w=random(1, 1, 3, 3), scales=np.array([1.0, 1.0, *map(float, times)]))
    )
    schedule = pure_schedule(graph, "sequential", lanes, 4)
    machine = assert_equals_golden(graph, schedule)
    (rows,) = (config.rows for config in machine.configs if config.name.endswith("Move"))
    words = 7 * times[0] * -(-13 * times[1] // lanes)
    assert max(row[0].trips for row in rows) == words


@pytest.mark.parametrize("lanes", [4, 8, 32])
def test_pyramid(lanes: int) -> None:
    check(pyramid(), "sequential", lanes, 4)


@pytest.mark.parametrize("bits", [4, 16])
def test_widths_of_numbers(bits: int) -> None:
    check(pyramid(), "sequential", 16, 4, QuantiseOptions(bits, bits))


def test_onnxruntime_agrees() -> None:
    model = make_model(
        [node("Conv", ["x", "w"], "c", kernel_shape=[3, 3], strides=[2, 2]), node("Relu", ["c"], "y")],
        (1, 1, 14, 19),
        {"w": random(1, 1, 3, 3)},
    )
    check_import(model)
    integers = quantised(pyramid())
    assert_exact(integers, stress_inputs(integers))


def test_cost_model_is_close_to_the_timed_simulation() -> None:
    graph = quantised(pyramid(60, 50))
    for lanes in (4, 16):
        schedule = pure_schedule(graph, "sequential", lanes, 4)
        counted = TimedSimulation(lower(graph, schedule, "timed")).cycles()
        model = evaluate(graph, schedule, load_board("kv260")).cycles
        assert abs(counted - model) <= 0.02 * counted, (lanes, counted, model)


def test_chosen_schedule() -> None:
    graph = quantised(pyramid())
    chosen = decide(graph, load_board("pynq-z2")).chosen
    assert_equals_golden(graph, chosen.schedule)
    assert multipliers(chosen.schedule) == (9 + 20) * chosen.schedule.lanes
    macs = [task.operator.macs(task, graph) for task in graph.tasks]
    assert [count for count in macs if count] == [9 * 20 * 18, 9 * 40 * 36, 20 * 20 * 18]


def test_other_readers_keep_their_channels() -> None:
    """What a convolution of several channels reads or makes has channels in words, and so has all that is tied to it."""
    nodes = [
        node("Conv", ["x", "w"], "c", kernel_shape=[3, 3], pads=[1] * 4),
        node("Conv", ["c", "v"], "y", kernel_shape=[3, 3]),
    ]
    model = make_model(nodes, (1, 1, 9, 9), {"w": random(1, 1, 3, 3), "v": random(6, 1, 3, 3)})
    graph = passes.run(import_model(model).graph)
    assert {kind_of(graph, task).name for task in graph.tasks} == {"engine"}
    assert {tensor.channel_axis for tensor in graph.tensors.values()} == {1}


def test_one_unit_has_windows_of_one_shape() -> None:
    graph = quantised(pyramid())
    schedule = pure_schedule(graph, "sequential", 8, 4)
    assert sum(unit.kind == "stencil" for unit in schedule.units) == 2
    first, second = (unit.name for unit in schedule.units if unit.kind == "stencil")

    def merged(phase: Any) -> Any:
        return replace(
            phase,
            assignments=tuple(
                replace(a, unit=first if a.unit == second else a.unit) for a in phase.assignments
            ),
        )

    wrong = replace(schedule, phases=tuple(map(merged, schedule.phases)))
    with pytest.raises(ScheduleError, match="windows of 2 shapes"):
        lower(graph, wrong, "wrong")

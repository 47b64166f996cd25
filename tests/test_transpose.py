"""Transposes of words: plans, and C++ bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import chain, conv, quantised
from machines import assert_equals_golden

from intarsia.machine.lower import lower
from intarsia.machine.units.transpose_plan import plan_transpose
from intarsia.ops.move import move
from intarsia.schedule.pure import sequential
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import UNBOUNDED, TaskGraph
from intarsia.work import TransposeWork

CHANNELS, ROWS = 16, 12
X = np.arange(CHANNELS * ROWS).reshape(1, CHANNELS, ROWS, 1)
CASES: dict[str, tuple[np.ndarray, int]] = {
    # channels to pixels: (1, 12, 16) with channels last but one, as an operand of attention
    "plain": (X[0].transpose(2, 0, 1), 2),
    "heads": (X.reshape(1, 2, 8, ROWS), 3),
    "a part": (X[0, 4:12, 1:12].transpose(2, 0, 1), 2),
    "every second row": (X[0, :, ::2].transpose(2, 0, 1), 2),
    "narrow heads": (X.reshape(1, 4, 4, ROWS), 3),
}


def graph_of(name: str, channels: int = CHANNELS, clamp: tuple[float, float] = UNBOUNDED) -> TaskGraph:
    indices, axis = CASES[name]
    operator = move(indices, axis)
    assert operator is not None
    rng = np.random.default_rng(0)
    return quantised(
        chain((3, ROWS, 1), [conv(rng, 3, channels, kernel=(1, 1)), (operator, {}, clamp)], name="moved")
    )


def work_of(graph: TaskGraph) -> Any:
    return graph.tasks[-1].operator.work(graph.tasks[-1], graph)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("lanes", [4, 8, 32])
def test_simulation_transposes_as_the_golden(name: str, lanes: int) -> None:
    graph = graph_of(name)
    assert isinstance(work_of(graph), TransposeWork)
    machine = assert_equals_golden(graph, sequential(graph, lanes, 4))
    assert "transpose" in {process.function for process in machine.processes}


@pytest.mark.parametrize("lanes", [4, 32])
def test_simulation_clamps_what_it_transposes(lanes: int) -> None:
    graph = graph_of("heads", clamp=(0.25, 0.5))
    machine = assert_equals_golden(graph, sequential(graph, lanes, 4))
    assert "transpose" in {process.function for process in machine.processes}


def test_a_strip_is_as_wide_as_words_and_channels_allow() -> None:
    plain, part = work_of(graph_of("plain")), work_of(graph_of("a part"))
    assert [plan_transpose(plain, lanes).width for lanes in (4, 8, 16, 32)] == [4, 8, 16, 16]
    assert [plan_transpose(part, lanes).width for lanes in (4, 8, 16, 32)] == [
        4,
        4,
        4,
        4,
    ]  # from channel 4 on
    assert plan_transpose(plain, 4).strips == 4
    assert plan_transpose(plain, 4).nest.steps == 4 * ROWS


def test_transposes_take_a_word_per_cycle() -> None:
    """At 8 lanes an element per cycle would take 192 cycles; words take 2 strips of 12 and gaps."""
    graph = graph_of("plain")
    plan = plan_transpose(work_of(graph), 8)
    assert plan.iterations < CHANNELS * ROWS / 2
    schedule = sequential(graph, 8, 16)
    assert TimedSimulation(lower(graph, schedule, "timed")).cycles() < CHANNELS * ROWS


def test_few_channels_move_one_by_one() -> None:
    operator = move(X[0, :, :3].transpose(2, 0, 1), 2)
    assert operator is not None
    rng = np.random.default_rng(0)
    graph = quantised(
        chain((3, ROWS, 1), [conv(rng, 3, CHANNELS, kernel=(1, 1)), (operator, {}, UNBOUNDED)], name="few")
    )
    assert not isinstance(work_of(graph), TransposeWork)

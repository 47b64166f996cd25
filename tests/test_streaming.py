"""Weights that come from DRAM phase by phase, and tasks made in shares one phase after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import chain, conv, dense, quantised, small_cnn
from machines import assert_equals_golden

from intarsia.board import Board, load_board
from intarsia.machine.lower import lower
from intarsia.ops.max_pool import MaxPool
from intarsia.schedule.bounds import off_chip_bytes
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.plan import ScheduleError, Weights
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import UNBOUNDED, TaskGraph


@pytest.fixture(scope="module")
def graph() -> TaskGraph:
    rng = np.random.default_rng(0)
    return quantised(
        chain(
            (5, 12, 12),
            [
                conv(rng, 5, 36, kernel=(3, 3), pads=(1, 1, 1, 1)),
                (MaxPool((2, 2), (2, 2)), {}, UNBOUNDED),
                conv(rng, 36, 20, kernel=(3, 3)),
                dense(rng, 320, 50),
                dense(rng, 50, 7),
            ],
        )
    )


@pytest.mark.parametrize(("lanes", "outputs", "entries"), [(8, 8, 48), (8, 16, 64), (4, 4, 100), (8, 2, 320)])
def test_shares_are_bit_exact(graph: TaskGraph, lanes: int, outputs: int, entries: int) -> None:
    schedule = sequential(graph, lanes, outputs, entries)
    assert len(schedule.phases) > len(sequential(graph, lanes, outputs).phases)
    machine = assert_equals_golden(graph, schedule)
    assert all(memory.depth <= entries for memory in machine.streamed)
    assert_equals_golden(graph, replace(schedule, weights=Weights.RESIDENT))
    assert_equals_golden(graph, replace(schedule, weights=Weights.LOADED))


@pytest.mark.parametrize("weights", [Weights.PREFETCHED, Weights.LOADED])
@pytest.mark.parametrize("weight_bytes", [16, 64])
def test_dram_words_of_weights_may_be_wider_than_those_of_activations(
    graph: TaskGraph, weights: Weights, weight_bytes: int
) -> None:
    schedule = sequential(graph, 8, 16, 64)
    assert_equals_golden(graph, replace(schedule, weights=weights, weight_bytes=weight_bytes))


@pytest.mark.parametrize("weights", [Weights.PREFETCHED, Weights.LOADED])
@pytest.mark.parametrize("entries", [48, 200])
def test_cost_model_counts_the_loads(graph: TaskGraph, entries: int, weights: Weights) -> None:
    schedule = replace(sequential(graph, 8, 16, entries), weights=weights)
    counted = TimedSimulation(lower(graph, schedule, "timed")).cycles()
    model = evaluate(graph, schedule, load_board("kv260")).cycles
    assert abs(counted - model) <= 0.02 * counted, (counted, model)


def test_a_pass_that_does_not_fit_is_refused(graph: TaskGraph) -> None:
    with pytest.raises(ScheduleError, match=r"one pass of task 'layer2' needs \d+ weight entries, not 40"):
        sequential(graph, 8, 8, 40)


def small_board() -> Board:
    board = load_board("pynq-z2")
    return replace(board, resources=replace(board.resources, bram18=40, dsp=80))


def test_weights_come_from_dram_only_if_they_must() -> None:
    rng = np.random.default_rng(1)
    layers = [dense(rng, 400, 400), dense(rng, 400, 400), dense(rng, 400, 10)]
    large = quantised(chain((400,), layers))
    chosen = decide(large, small_board()).chosen
    assert chosen.schedule.streamed
    assert off_chip_bytes(large, chosen.schedule) >= 324_000
    assert_equals_golden(large, chosen.schedule)
    assert not decide(quantised(small_cnn()), small_board()).chosen.schedule.streamed


def test_counting_minds_the_bandwidth_of_dram(graph: TaskGraph) -> None:
    machine = lower(graph, sequential(graph, 8, 16, 48), "timed")
    fast, slow = (TimedSimulation(machine, rate).cycles() for rate in (1.0, 0.25))
    resident = min(
        row.offset for config in machine.configs if config.name == "Prefetch" for (row,) in config.rows[:-1]
    )
    streamed = len(machine.weights) // machine.word_bytes - resident
    assert fast < slow
    assert slow >= 4 * streamed

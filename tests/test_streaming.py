"""Weights that come from DRAM phase by phase, and tasks made in shares one phase after the other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from graphs import chain, conv, dense, quantised, small_cnn
from machines import assert_equals_golden

from intarsia.board import Board, load_board
from intarsia.cost import Dram
from intarsia.machine.lower import lower
from intarsia.ops.max_pool import MaxPool
from intarsia.schedule.bounds import off_chip_bytes
from intarsia.schedule.dram import Streaming, dram_of
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import ScheduleError, Weights
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import UNBOUNDED, TaskGraph

PLENTY = 1 << 30


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
    fast, slow = (TimedSimulation(machine, rate * machine.weight_bytes).cycles() for rate in (1.0, 0.25))
    resident = min(
        row.offset for config in machine.configs if config.name == "Prefetch" for (row,) in config.rows[:-1]
    )
    streamed = len(machine.weights) // machine.word_bytes - resident
    assert fast < slow
    assert slow >= 4 * streamed


def streaming(weights: Weights, entries: int, word_bytes: int = 16) -> Streaming:
    return Streaming(weights, Dram(inf, 1, word_bytes), entries)


@pytest.mark.parametrize("weights", [Weights.PREFETCHED, Weights.LOADED])
@pytest.mark.parametrize(
    ("lanes", "outputs", "entries"),
    [(8, (8, 16), 64), (8, (4, 2, 8), 256), (4, (4, 8), 100), (16, (2, 4), 330)],
)
def test_mixed_phases_take_weights_from_dram(
    graph: TaskGraph, lanes: int, outputs: tuple[int, ...], entries: int, weights: Weights
) -> None:
    schedule = mixed(graph, Engines(outputs, lanes), PLENTY, None, streaming(weights, entries))
    assert schedule.weights is weights
    machine = assert_equals_golden(graph, schedule)
    assert len(machine.streamed) >= 2
    assert all(memory.depth <= entries for memory in machine.streamed)


def test_shares_of_several_engines_follow_one_another(graph: TaskGraph) -> None:
    schedule = mixed(graph, Engines((8, 16), 8), PLENTY, None, streaming(Weights.PREFETCHED, 60))
    many = [task.name for task in graph.tasks if len(schedule.phases_of(task.name)) > 1]
    assert many
    for name in many:
        ranges = [
            share.words for index in schedule.phases_of(name) for share in schedule.phases[index].shares(name)
        ]
        assert ranges[0][0] == 0
        assert all(one[1] == two[0] for one, two in pairwise(ranges))
        assert ranges[-1][1] == -(-graph.output_tensor(graph.task(name)).channels // 8)


@pytest.mark.parametrize("weights", [Weights.PREFETCHED, Weights.LOADED])
@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_the_optimum_is_what_the_schedule_costs(graph: TaskGraph, weights: Weights, rate: float) -> None:
    """The dynamic programme, the evaluation and the timed C-simulation agree on when phases wait for weights."""
    board = load_board("kv260")
    slow = replace(board, memory=replace(board.memory, bandwidth_gb_s=rate * 16 * board.clock_mhz / 1e3))
    with_dram = Streaming(weights, dram_of(slow, graph, 8, 16), 128)
    schedule = mixed(graph, Engines((8, 16), 8), PLENTY, None, with_dram)
    model = evaluate(graph, schedule, slow).cycles
    counted = TimedSimulation(lower(graph, schedule, "timed"), slow.bytes_per_cycle(slow.clock_mhz)).cycles()
    assert abs(counted - model) <= 0.02 * counted, (counted, model)

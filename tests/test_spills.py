"""Tensors that wait in DRAM between phases: the same integers, smaller banks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import chain, conv, dense, quantised
from machines import assert_equals_golden

from intarsia.board import load_board
from intarsia.cost import Dram
from intarsia.machine.hardware import words_of
from intarsia.machine.lower import lower
from intarsia.schedule.bounds import off_chip_bytes
from intarsia.schedule.evaluate import evaluate, evaluate_spilled
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.pure import sequential
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import TaskGraph


def network(size: int = 12) -> TaskGraph:
    rng = np.random.default_rng(0)
    return quantised(
        chain(
            (3, size, size),
            [
                conv(rng, 3, 8, kernel=(3, 3), pads=(1, 1, 1, 1)),
                conv(rng, 8, 6, kernel=(3, 3)),
                conv(rng, 6, 4, kernel=(1, 1)),
                dense(rng, 4 * (size - 2) ** 2, 5),
            ],
        )
    )


@pytest.mark.parametrize("spilled", [("t0",), ("t1",), ("t0", "t2"), ("t0", "t1", "t2")])
def test_spilled_tensors_are_the_golden(spilled: tuple[str, ...]) -> None:
    graph = network()
    machine = assert_equals_golden(graph, replace(sequential(graph, 4, 4), spilled=spilled))
    assert machine.spills == ("spills0", "spills_out")
    assert machine.spill_words > 0


@pytest.mark.parametrize("outputs", [(4, 8), (2, 4, 4)])
@pytest.mark.parametrize("bank_words", [0, 60, 150])
def test_mixed_schedules_keep_large_tensors_in_dram(outputs: tuple[int, ...], bank_words: int) -> None:
    graph = network()
    schedule = mixed(graph, Engines(outputs, 4), bank_words)
    machine = assert_equals_golden(graph, schedule)
    assert all(words_of(graph, name, 4) > bank_words for name in schedule.spilled)
    assert machine.bank_words <= bank_words
    assert bool(machine.spills) == bool(schedule.spilled)


@pytest.mark.parametrize("bytes_per_cycle", [64.0, 8.0, 1.0])
@pytest.mark.parametrize("outputs", [(4,), (4, 8)])
def test_the_cost_model_counts_what_tensors_in_dram_take(
    outputs: tuple[int, ...], bytes_per_cycle: float
) -> None:
    """Phases wait for DRAM before and behind its tensors, and share its bandwidth: as the timed C-simulation counts."""
    graph = network(20)
    board = load_board("kv260")
    gb_s = bytes_per_cycle * board.clock_mhz / 1e3
    board = replace(board, memory=replace(board.memory, bandwidth_gb_s=gb_s))
    schedule = mixed(graph, Engines(outputs, 4), 50, dram=Dram(bytes_per_cycle, 4, 4))
    assert schedule.spilled
    simulation = TimedSimulation(lower(graph, schedule, "timed"), bytes_per_cycle)
    counted = [timing.cycles for timing in simulation.time()]
    model = evaluate(graph, schedule, board)
    assert abs(sum(counted) - model.cycles) <= 0.02 * sum(counted), (counted, model)
    on_chip = evaluate(graph, replace(schedule, spilled=()), board)
    assert model.cycles >= on_chip.cycles + 2 * 70 * len(schedule.spilled)
    assert sum(counted) >= off_chip_bytes(graph, schedule) / bytes_per_cycle
    assert off_chip_bytes(graph, schedule) > off_chip_bytes(graph, replace(schedule, spilled=()))


def test_phases_are_chosen_by_what_dram_costs() -> None:
    """Where DRAM is slow, a pipeline that keeps a large tensor in a FIFO beats phases that are faster by themselves."""
    graph = network(20)
    board = load_board("kv260")
    slow = replace(board, memory=replace(board.memory, bandwidth_gb_s=0.02))
    bytes_per_cycle = slow.bytes_per_cycle(slow.clock_mhz)
    engines = Engines((4, 4), 4)
    blind = mixed(graph, engines, 50)
    aware = mixed(graph, engines, 50, dram=Dram(bytes_per_cycle, 4, 4))
    costs = [evaluate(graph, schedule, slow).cycles for schedule in (aware, blind)]
    assert costs[0] < costs[1]
    assert len(aware.spilled) < len(blind.spilled)
    assert_equals_golden(graph, aware)


def test_large_tensors_go_to_dram_until_the_rest_fits() -> None:
    graph = network(40)
    board = load_board("pynq-z2")
    schedule = sequential(graph, 4, 4)
    need = evaluate(graph, schedule, board).resources
    small = replace(board, resources=replace(board.resources, bram18=need.bram18, lut=10**6))
    tried = list(evaluate_spilled(graph, schedule, small))
    assert not tried[0].fits
    fitting = next(evaluation for evaluation in tried if evaluation.fits)
    assert fitting.schedule.spilled
    assert_equals_golden(graph, fitting.schedule)

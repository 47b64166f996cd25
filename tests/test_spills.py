"""Tensors that wait in DRAM between phases: the same integers, smaller banks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import chain, conv, dense, quantised
from machines import assert_equals_golden

from intarsia.board import load_board
from intarsia.schedule.evaluate import evaluate, evaluate_spilled
from intarsia.schedule.pure import sequential
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

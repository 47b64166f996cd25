"""The last word on schedules: where the cost model finds several nearly as good, the timed C-simulation decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..board import Board
from ..machine.lower import lower
from ..machine.machine import Machine
from ..schedule.evaluate import Evaluation, dram_words_per_cycle
from ..task_graph import TaskGraph
from .timed import PhaseTiming, TimedSimulation, size_fifos

MODEL_ERROR = 0.1
"""How much slower than the best a schedule may look to the cost model and still be counted."""


@dataclass(frozen=True, eq=False)
class Counted:
    """A schedule whose FIFOs are sized, with its counted cycles."""

    evaluation: Evaluation
    machine: Machine
    phase_cycles: tuple[int, ...]
    timings: tuple[PhaseTiming, ...]


def count_best(graph: TaskGraph, candidates: Iterable[Evaluation], name: str, board: Board) -> Counted:
    """Of the candidates that the cost model cannot tell apart, the one with the fewest counted cycles.

    Args:
        graph: quantised task graph.
        candidates: schedules that fit the board.
        name: of the top function.
        board: for the bandwidth of its DRAM.

    Raises:
        BuildError: there is no C++ compiler.
        DeadlockError: a schedule cannot end whatever the FIFO depths.
    """
    ranked = sorted(candidates, key=lambda evaluation: evaluation.rank)
    near = [e for e in ranked if e.cycles <= (1 + MODEL_ERROR) * ranked[0].cycles]
    return min(
        (_count(graph, evaluation, name, board) for evaluation in near), key=lambda c: sum(c.phase_cycles)
    )


def _count(graph: TaskGraph, evaluation: Evaluation, name: str, board: Board) -> Counted:
    machine = lower(graph, evaluation.schedule, name)
    simulation = TimedSimulation(machine, dram_words_per_cycle(board, machine.weight_bytes))
    machine, phase_cycles = size_fifos(simulation)
    depths = {stream.name: stream.depth for stream in machine.streams}
    return Counted(evaluation, machine, phase_cycles, simulation.time(depths))

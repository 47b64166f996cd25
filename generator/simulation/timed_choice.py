"""The last word on schedules: where the cost model finds several nearly as good, the timed C-simulation decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

from ..board import Board
from ..machine.lower import lower
from ..machine.machine import Machine
from ..schedule.evaluate import Evaluation
from ..task_graph import TaskGraph
from .timed import PhaseTiming, TimedSimulation, launch_cycles, size_fifos

MODEL_ERROR = 0.1
"""How much slower than the best a schedule may look to the cost model and still be counted."""


MOST_SAMPLES = 16
"""Of a launch that are simulated."""


@dataclass(frozen=True, eq=False)
class Counted:
    """A schedule whose FIFOs are sized, with its counted cycles."""

    evaluation: Evaluation
    machine: Machine
    timings: tuple[PhaseTiming, ...]

    @property
    def interval(self) -> float:
        """Cycles per sample, in launches of as many as the machine takes."""
        return launch_cycles(self.machine, self.timings) / self.machine.batch


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
    near = [e for e in ranked if e.interval <= (1 + MODEL_ERROR) * ranked[0].interval]
    return min((_count(graph, evaluation, name, board) for evaluation in near), key=lambda c: c.interval)


def _count(graph: TaskGraph, evaluation: Evaluation, name: str, board: Board) -> Counted:
    machine = lower(graph, evaluation.schedule, name)
    bytes_per_cycle = board.bytes_per_cycle(board.clock_mhz)
    simulation = TimedSimulation(machine, bytes_per_cycle, _samples_to_simulate(evaluation))
    sized, timings = size_fifos(simulation)
    if simulation.samples > 1:  # what each process does is shown for one sample
        alone = TimedSimulation(sized, bytes_per_cycle).time()
        timings = tuple(
            replace(timing, processes=one.processes) for timing, one in zip(timings, alone, strict=True)
        )
    return Counted(evaluation, sized, timings)


def _samples_to_simulate(evaluation: Evaluation) -> int:
    """As many as are under way at the same time, and two more, so that the last ones follow steadily."""
    under_way = max(ceil(phase.first / phase.interval) for phase in evaluation.phases)
    return min(evaluation.schedule.batch, under_way + 2, MOST_SAMPLES)

"""Sizes the pure schedules for a board, and takes the better one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..board import Board
from ..machine.mac_unit import mac_steps
from ..machine.window import plan_patches
from ..task_graph import TaskGraph
from ..work import MacWork
from .evaluate import Evaluation, best, evaluate
from .plan import ScheduleError
from .pure import dataflow, sequential

KINDS = ("auto", "dataflow", "sequential")

_LANES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Decision:
    """The chosen schedule, and the cycles of the pure schedules beside it (None where one is impossible)."""

    chosen: Evaluation
    baselines: dict[str, int | None]
    notes: tuple[str, ...]


def decide(graph: TaskGraph, board: Board, kind: str = "auto") -> Decision:
    """The best schedule of the asked kind that fits the board.

    Raises:
        ScheduleError: the kind is unknown, or nothing of that kind fits; names the resource that is short.
    """
    if kind not in KINDS:
        raise ScheduleError(f"unknown schedule {kind!r}: choose one of {', '.join(KINDS)}")
    found: dict[str, Evaluation | None] = {}
    reasons: dict[str, str] = {}
    for name, candidates in (("dataflow", _dataflows), ("sequential", _sequentials)):
        try:
            tried = list(candidates(graph, board))
        except ScheduleError as error:
            found[name], reasons[name] = None, str(error)
            continue
        found[name] = best(tried)
        if found[name] is None:
            smallest = min(tried, key=lambda e: (len(e.excess), e.resources.bram18, e.resources.dsp))
            reasons[name] = "; ".join(smallest.excess)
    wanted = [kind] if kind != "auto" else list(found)
    chosen = best([evaluation for name in wanted if (evaluation := found[name]) is not None])
    if chosen is None:
        why = ". ".join(f"{name}: {reasons[name]}" for name in wanted)
        raise ScheduleError(
            f"the model does not fit {board.name}. {why}. Use a larger board (intarsia boards), fewer weight bits "
            f"(--weight-bits), or another schedule (--schedule)"
        )
    baselines = {name: evaluation.cycles if evaluation else None for name, evaluation in found.items()}
    notes = tuple(f"no {name} schedule: {reason}" for name, reason in reasons.items())
    return Decision(chosen, baselines, notes)


def _lane_choices(graph: TaskGraph) -> list[int]:
    """Word widths; a 16-bit word holds half as many elements."""
    wide = max(tensor.number.bits for tensor in graph.tensors.values()) > 8
    return [lanes for lanes in _LANES if not wide or lanes <= 16]


def _output_choices(lanes: int, channels: int) -> list[int]:
    """Outputs per pass: divisors and multiples of the word, up to all channels."""
    small = [lanes >> shift for shift in range(lanes.bit_length())]
    large = [lanes * times for times in range(2, -(-channels // lanes) + 1)]
    return sorted({*small, *large})


def _mac_works(graph: TaskGraph) -> dict[str, MacWork]:
    works = {task.name: task.operator.work(task, graph) for task in graph.tasks}
    return {name: work for name, work in works.items() if isinstance(work, MacWork)}


def _sequentials(graph: TaskGraph, board: Board) -> Iterator[Evaluation]:
    widest = max((work.outputs for work in _mac_works(graph).values()), default=1)
    for lanes in _lane_choices(graph):
        for outputs in _output_choices(lanes, widest):
            if lanes * outputs <= max(board.resources.dsp, lanes):
                yield evaluate(graph, sequential(graph, lanes, outputs), board)


def _dataflows(graph: TaskGraph, board: Board) -> Iterator[Evaluation]:
    """For each word width, the units sized for the shortest interval that fits, and for every longer one tried before.

    The interval is the largest trip count over the units. Giving every unit the fewest outputs that reach an interval
    is exact: trips fall and resources grow with outputs.
    """
    works = _mac_works(graph)
    for lanes in _lane_choices(graph):
        choices = {
            name: [
                (_trips(work, lanes, outputs), outputs) for outputs in _output_choices(lanes, work.outputs)
            ]
            for name, work in works.items()
        }
        intervals = sorted({trips for options in choices.values() for trips, _ in options})
        floor = max((min(options)[0] for options in choices.values()), default=0)
        feasible = [interval for interval in intervals if interval >= floor] or [0]
        low, high = 0, len(feasible) - 1
        while low <= high:
            middle = (low + high) // 2
            outputs = {
                name: min(o for trips, o in options if trips <= feasible[middle])
                for name, options in choices.items()
            }
            evaluation = evaluate(graph, dataflow(graph, lanes, outputs), board)
            yield evaluation
            if evaluation.fits:
                high = middle - 1
            else:
                low = middle + 1


def _trips(work: MacWork, lanes: int, outputs: int) -> int:
    folds, steps = mac_steps(outputs, work.outputs, lanes)
    return work.pixels * max(folds * plan_patches(work, lanes).words, steps)

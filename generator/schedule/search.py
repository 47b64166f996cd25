"""Sizes the schedules of each kind for a board, and takes the best one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..board import Board
from ..task_graph import TaskGraph
from .advice import what_would_fit
from .candidates import dataflow_candidates, mixed_candidates, sequential_candidates
from .evaluate import USABLE, Evaluation, best
from .mixed import PhaseCosts
from .plan import ScheduleError
from .products import most_products
from .word_widths import LANES, word_choices

KINDS = ("auto", "mixed", "dataflow", "sequential")


@dataclass(frozen=True)
class Decision:
    """The chosen schedule by the cost model.

    Attributes:
        chosen: the best schedule of the asked kind that fits the board.
        found: the best of each kind that was asked for, `chosen` among them.
        baselines: cycles of the pure schedules (None where one is impossible).
        notes: why there is no schedule of some kind.
    """

    chosen: Evaluation
    found: tuple[Evaluation, ...]
    baselines: dict[str, int | None]
    notes: tuple[str, ...]


def decide(
    graph: TaskGraph,
    board: Board,
    kind: str = "auto",
    lanes: Sequence[int] = LANES,
    costs: PhaseCosts | None = None,
    multipliers: int | None = None,
) -> Decision:
    """The best schedule of the asked kind that fits the board.

    Args:
        graph: quantised task graph.
        board: what it has to fit.
        kind: one of KINDS; "auto" is the best of the others.
        lanes: elements per word to try; to LANES a word is added that holds the largest circulant block, if none does.
        costs: cycles of phases, kept from call to call for the same graph.
        multipliers: engines have at most so many in all; by default as many as the board's DSPs make.

    Raises:
        ScheduleError: the kind or a number of lanes is unknown, or nothing of that kind fits; names the resource that
            is short.
    """
    if kind not in KINDS:
        raise ScheduleError(f"unknown schedule {kind!r}: choose one of {', '.join(KINDS)}")
    found: dict[str, Evaluation | None] = {}
    impossible: dict[str, str] = {}
    smallest: dict[str, Evaluation] = {}
    for name, candidates in _candidates(graph, board, kind, lanes, costs, multipliers).items():
        try:
            tried = list(candidates)
        except ScheduleError as error:
            found[name], impossible[name] = None, str(error)
            continue
        found[name] = best(tried)
        if not tried:
            impossible[name] = "there are too few layers with weights, or multipliers, for several engines"
        elif found[name] is None:
            smallest[name] = min(tried, key=_excess)
    reasons = impossible | {name: "; ".join(evaluation.excess) for name, evaluation in smallest.items()}
    wanted = [kind] if kind != "auto" else list(found)
    fitting = tuple(evaluation for name in wanted if (evaluation := found[name]) is not None)
    chosen = best(fitting)
    if chosen is None:
        why = ". ".join(f"{name}: {reasons[name]}" for name in wanted)
        if not any(name in smallest for name in wanted):
            raise ScheduleError(f"the datapath cannot run this model. {why}. Try another --schedule")
        nearest = min(smallest.values(), key=_excess)
        raise ScheduleError(f"the model does not fit {board.name}. {why}. {what_would_fit(nearest)}")
    baselines = {name: evaluation.cycles if evaluation else None for name, evaluation in found.items()}
    baselines.pop("mixed", None)
    notes = tuple(f"no {name} schedule: {reason}" for name, reason in reasons.items() if name != "mixed")
    return Decision(chosen, fitting, baselines, notes)


def _candidates(
    graph: TaskGraph,
    board: Board,
    kind: str,
    lanes: Sequence[int],
    costs: PhaseCosts | None,
    multipliers: int | None,
) -> dict[str, Iterator[Evaluation]]:
    """What to try of each kind: the pure ones always, for they are the baselines."""
    most = most_products(graph, board) if multipliers is None else multipliers
    choices = word_choices(graph, lanes, most)
    pure = {
        "dataflow": dataflow_candidates(graph, board, choices, most),
        "sequential": sequential_candidates(graph, board, choices, most),
    }
    if kind not in ("auto", "mixed"):
        return pure
    most = int(USABLE["dsp"] * most) if multipliers is None else most
    mixes = mixed_candidates(graph, board, choices, {} if costs is None else costs, most)
    return {**pure, "mixed": mixes}


def _excess(evaluation: Evaluation) -> tuple[int, int, int]:
    """How far a schedule is from fitting."""
    return len(evaluation.excess), evaluation.resources.bram18, evaluation.resources.dsp

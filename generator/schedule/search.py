"""Sizes the schedules of each kind for a board, and takes the best one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

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

LATENCY = (1,)
"""Batches to try for the least latency."""

THROUGHPUT = (1, 4, 16, 64)
"""Batches to try for the most samples per second."""

OBJECTIVES = MappingProxyType({"latency": LATENCY, "throughput": THROUGHPUT})
"""Batches to try for each objective."""

MOST_SAMPLES = 4096
"""Of a launch."""

_NEARLY = 1.02
"""Cycles per sample, over the best's, for which a smaller batch is taken."""


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


def batches_of(objective: str, batch: int | None = None) -> Sequence[int]:
    """Samples per launch to try.

    Args:
        objective: one of OBJECTIVES.
        batch: the only number to try, for throughput.

    Raises:
        ScheduleError: the objective is unknown, or the number contradicts it.
    """
    if objective not in OBJECTIVES:
        raise ScheduleError(f"unknown objective {objective!r}: choose one of {', '.join(OBJECTIVES)}")
    if batch is None:
        return OBJECTIVES[objective]
    if objective == "latency":
        raise ScheduleError(f"a batch of {batch} is for the objective throughput: add --objective throughput")
    if not 1 <= batch <= MOST_SAMPLES:
        raise ScheduleError(f"a batch of {batch}: a launch takes 1 to {MOST_SAMPLES:,} samples")
    return (batch,)


def decide(
    graph: TaskGraph,
    board: Board,
    kind: str = "auto",
    lanes: Sequence[int] = LANES,
    costs: PhaseCosts | None = None,
    multipliers: int | None = None,
    batches: Sequence[int] = LATENCY,
) -> Decision:
    """The best schedule of the asked kind that fits the board: the one of fewest cycles per sample.

    Args:
        graph: quantised task graph.
        board: what it has to fit.
        kind: one of KINDS; "auto" is the best of the others.
        lanes: elements per word to try; to LANES a word is added that holds the largest circulant block, if none does.
        costs: cycles of phases, kept from call to call for the same graph.
        multipliers: engines have at most so many in all; by default as many as the board's DSPs make.
        batches: samples per launch to try: LATENCY, THROUGHPUT, or a number of one's own.

    Raises:
        ScheduleError: the kind or a number of lanes is unknown, or nothing of that kind fits; names the resource that
            is short.
    """
    if kind not in KINDS:
        raise ScheduleError(f"unknown schedule {kind!r}: choose one of {', '.join(KINDS)}")
    found: dict[str, Evaluation | None] = {}
    impossible: dict[str, str] = {}
    smallest: dict[str, Evaluation] = {}
    for name, candidates in _candidates(graph, board, kind, lanes, costs, multipliers, batches).items():
        try:
            tried = list(candidates)
        except ScheduleError as error:
            found[name], impossible[name] = None, str(error)
            continue
        found[name] = _of_smallest_batch(tried)
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
    baselines = {name: evaluation.interval if evaluation else None for name, evaluation in found.items()}
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
    batches: Sequence[int],
) -> dict[str, Iterator[Evaluation]]:
    """What to try of each kind: the pure ones always, for they are the baselines."""
    most = most_products(graph, board) if multipliers is None else multipliers
    choices = word_choices(graph, lanes, most)
    pure = {
        "dataflow": _each(batches, lambda batch: dataflow_candidates(graph, board, choices, most, batch)),
        "sequential": _each(batches, lambda batch: sequential_candidates(graph, board, choices, most, batch)),
    }
    if kind not in ("auto", "mixed"):
        return pure
    most = int(USABLE["dsp"] * most) if multipliers is None else most
    known: PhaseCosts = {} if costs is None else costs
    mixes = _each(batches, lambda batch: mixed_candidates(graph, board, choices, known, most, batch))
    return {**pure, "mixed": mixes}


def _each(batches: Sequence[int], candidates: Callable[[int], Iterator[Evaluation]]) -> Iterator[Evaluation]:
    return chain.from_iterable(map(candidates, batches))


def _of_smallest_batch(tried: Sequence[Evaluation]) -> Evaluation | None:
    """The best that fits, or one of fewer samples per launch that is nearly as good: results come earlier, from less memory."""
    fastest = best(tried)
    if fastest is None:
        return None
    near = [e for e in tried if e.fits and e.interval <= _NEARLY * fastest.interval]
    smallest = min(evaluation.schedule.batch for evaluation in near)
    return best([evaluation for evaluation in near if evaluation.schedule.batch == smallest])


def _excess(evaluation: Evaluation) -> tuple[int, int, int]:
    """How far a schedule is from fitting."""
    return len(evaluation.excess), evaluation.resources.bram18, evaluation.resources.dsp

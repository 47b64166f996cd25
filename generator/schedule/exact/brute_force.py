"""Every solution of a small problem, one by one: slow, and too simple to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .errors import NoScheduleError, OverCapacityError
from .evaluate import crossing, evaluate
from .problem import Candidate, Problem
from .solution import Placement, Solution

LIMIT = 7
"""Tasks beyond which there are too many solutions to try."""

_PLACES: tuple[Placement, ...] = ("chip", "spilled")


def solve(problem: Problem) -> Solution:
    """The best of all solutions.

    Raises:
        ValueError: more than `LIMIT` tasks.
        NoScheduleError: there is no solution.
    """
    if len(problem.tasks) > LIMIT:
        raise ValueError(f"brute force takes up to {LIMIT} tasks, not {len(problem.tasks)}")
    best: Solution | None = None
    for phases in _sequences(problem, frozenset()):
        if best is not None and sum(phase.cycles for phase in phases) > best.objective.cycles:
            continue
        waiting = [tensor.name for tensor in crossing(problem, phases)]
        for places in product(_PLACES, repeat=len(waiting)):
            placements = dict(zip(waiting, places, strict=True))
            try:
                objective = evaluate(problem, phases, placements)
            except OverCapacityError:
                continue
            if best is None or objective < best.objective:
                best = Solution(
                    phases, placements, objective, optimal=True, lower_bound_cycles=objective.cycles
                )
    if best is None:
        raise NoScheduleError("no sequence of candidate phases covers the tasks within the on-chip memory")
    return best


def _sequences(problem: Problem, done: frozenset[str]) -> Iterator[tuple[Candidate, ...]]:
    """All sequences of phases that run what is not done yet."""
    if len(done) == len(problem.tasks):
        yield ()
    for candidate in problem.candidates:
        after = done | candidate.tasks
        if not candidate.tasks & done and all(
            problem.predecessors[task] <= after for task in candidate.tasks
        ):
            for rest in _sequences(problem, after):
                yield (candidate, *rest)

"""A lower bound on cycles from the table of candidates alone: a price for every task, paid by any schedule.

Claim: if prices are such that no usable candidate's tasks cost more than the candidate's least cycles, then the sum of
all prices is a lower bound. Proof: the phases of a schedule partition the tasks, so the sum of all prices is the sum
over the phases of their tasks' prices; that is at most the sum of their least cycles; and phases run one after the
other, each for at least its least cycles, and may wait for their loads between. The same holds for any part of a schedule, which is what lets the dynamic
programme drop states. (Such prices are the dual of the set-partitioning relaxation. Since phases never overlap, no
critical path can exceed this bound: it is the same sum over fewer tasks.)

The least cycles of a candidate are its cycles and the cheapest spills that its own boundary forces: a tensor it makes
for a later phase, or reads from an earlier one, is on chip during the phase or spilled, and what is on chip during the
phase must fit beside its working memory. Which tensors to spill is a knapsack; its fractional relaxation bounds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from .errors import NoScheduleError
from .problem import Candidate, Problem, Tensor
from .spill import spill_cycles

_MAX_SCALE = 1 << 20


@dataclass(frozen=True)
class Prices:
    """A price per task in fractions (1 / scale) of a cycle."""

    scale: int
    of: Mapping[str, int]

    @property
    def total(self) -> int:
        """The lower bound in whole cycles."""
        return -(-sum(self.of.values()) // self.scale)


def lower_bound_cycles(problem: Problem) -> int:
    """Cycles that no schedule can beat.

    Raises:
        NoScheduleError: a task's candidates all need more working memory than there is.
    """
    return prices(problem).total


def prices(problem: Problem) -> Prices:
    """The best prices of a few cheap heuristics; each makes valid ones.

    Each starts from prices that break no rule and raises one task after the other as far as its candidates allow. The
    starts are equal shares of each task's cheapest candidate, and potentials, which are exact for a chain.

    Raises:
        NoScheduleError: a task's candidates all need more working memory than there is.
    """
    usable = tuple(c for c in problem.candidates if c.working_words <= problem.capacity_words)
    scale = lcm(*{len(candidate.tasks) for candidate in usable})
    scale = scale if scale <= _MAX_SCALE else 1
    table = _Table.of(problem, usable, scale)
    starts = [table.shares(), table.repaired(table.potentials())]
    raised = [
        table.raised(start, order) for start in starts for order in (problem.tasks, problem.tasks[::-1])
    ]
    return Prices(scale, max(raised, key=lambda found: sum(found.values())))


def least_cycles(problem: Problem, candidate: Candidate) -> int:
    """Cycles that the candidate takes at least, in any schedule."""
    room = problem.capacity_words - candidate.working_words
    near = {tensor.name: tensor for task in candidate.tasks for tensor in problem.tensors_of[task]}
    boundary = [
        (Fraction(cycles, tensor.words), tensor.words, cycles)
        for tensor in near.values()
        if tensor.placeable and _waits(tensor, candidate)
        for cycles in [_cycles_if_spilled(tensor, candidate)]
    ]
    spilled = 0
    left = room
    for _, words, cycles in sorted(boundary, reverse=True):
        kept = min(words, left) if words <= room else 0
        spilled += cycles * (words - kept) // words
        left -= kept
    return candidate.cycles + spilled


def _waits(tensor: Tensor, candidate: Candidate) -> bool:
    """True if the tensor waits for a later phase, or has waited, in every schedule with this candidate."""
    if tensor.producer in candidate.tasks:
        return not candidate.tasks.issuperset(tensor.consumers)
    return not candidate.tasks.isdisjoint(tensor.consumers)


def _cycles_if_spilled(tensor: Tensor, candidate: Candidate) -> int:
    return spill_cycles((tensor,), ()) if tensor.producer in candidate.tasks else spill_cycles((), (tensor,))


@dataclass(frozen=True)
class _Table:
    """Candidates as tuples of tasks with their scaled least cycles."""

    tasks: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], int], ...]
    rows_of: Mapping[str, Sequence[int]]

    @staticmethod
    def of(problem: Problem, usable: tuple[Candidate, ...], scale: int) -> _Table:
        cheapest: dict[tuple[str, ...], int] = {}
        for candidate in usable:
            cycles = scale * least_cycles(problem, candidate)
            names = tuple(task for task in candidate.text[0])
            cheapest[names] = min(cycles, cheapest.get(names, cycles))
        rows = tuple(sorted(cheapest.items()))
        rows_of: dict[str, list[int]] = {task: [] for task in problem.tasks}
        for index, (names, _) in enumerate(rows):
            for task in names:
                rows_of[task].append(index)
        if stuck := [task for task, indices in rows_of.items() if not indices]:
            raise NoScheduleError(
                f"every candidate with task {stuck[0]!r} needs more than the {problem.capacity_words} on-chip words"
            )
        return _Table(problem.tasks, rows, rows_of)

    def shares(self) -> dict[str, int]:
        """Each task's smallest equal share of a candidate: no candidate's tasks can cost more than it."""
        return {
            task: min(self.rows[index][1] // len(self.rows[index][0]) for index in self.rows_of[task])
            for task in self.tasks
        }

    def potentials(self) -> dict[str, int]:
        """Differences of shortest distances over the candidates that are runs of the topological order.

        They respect those candidates; the others may break them.
        """
        positions = {task: position for position, task in enumerate(self.tasks)}
        arriving: dict[int, list[tuple[int, int]]] = {
            position: [] for position in range(1, len(self.tasks) + 1)
        }
        for names, cycles in self.rows:
            places = [positions[task] for task in names]
            if max(places) - min(places) + 1 == len(places):
                arriving[max(places) + 1].append((min(places), cycles))
        distances = [0]
        for edges in arriving.values():
            distances.append(
                min((distances[start] + cycles for start, cycles in edges), default=distances[-1])
            )
        return {task: distances[position + 1] - distances[position] for task, position in positions.items()}

    def repaired(self, start: dict[str, int]) -> dict[str, int]:
        """Prices lowered, the highest first, until no candidate's tasks cost more than it."""
        lowered = dict(start)
        for names, cycles in self.rows:
            excess = sum(lowered[task] for task in names) - cycles
            if excess > 0:
                lowered[max(names, key=lambda task: lowered[task])] -= excess
        return lowered

    def raised(self, start: dict[str, int], order: Sequence[str]) -> dict[str, int]:
        """Prices raised, one task after the other, as far as their candidates allow."""
        found = dict(start)
        slack = [cycles - sum(found[task] for task in names) for names, cycles in self.rows]
        for task in order:
            step = min(slack[index] for index in self.rows_of[task])
            found[task] += step
            for index in self.rows_of[task]:
                slack[index] -= step
        return found

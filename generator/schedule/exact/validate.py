"""The rules a problem must obey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .problem import Candidate, Problem, Tensor


def validate(problem: Problem) -> None:
    """Refuses a problem that breaks a rule.

    Raises:
        ValueError: says which rule, and where.
    """
    _unique("task", problem.tasks)
    _unique("tensor", (tensor.name for tensor in problem.tensors))
    positions = {task: position for position, task in enumerate(problem.tasks)}
    for tensor in problem.tensors:
        _check_tensor(tensor, positions)
    if problem.capacity_words < 0:
        raise ValueError(f"capacity_words must not be negative, not {problem.capacity_words}")
    _unique("candidate", (candidate.text for candidate in problem.candidates))
    before, after = _relations(problem, positions)
    for candidate in problem.candidates:
        _check_candidate(candidate, positions)
        _check_convex(candidate, problem.tasks, before, after, positions)
    covered = {task for candidate in problem.candidates for task in candidate.tasks}
    if missing := [task for task in problem.tasks if task not in covered]:
        raise ValueError(f"task {missing[0]!r} is in no candidate")


def _unique(kind: str, names: Iterable[object]) -> None:
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{kind} {repeated[0]!r} appears more than once")


def _check_tensor(tensor: Tensor, positions: dict[str, int]) -> None:
    where = f"tensor {tensor.name!r}"
    _unique(f"{where}: consumer", tensor.consumers)
    for task in (tensor.producer, *tensor.consumers):
        if task is not None and task not in positions:
            raise ValueError(f"{where} names an unknown task {task!r}")
    if tensor.words < 1 or tensor.write_cycles < 0 or tensor.read_cycles < 0:
        raise ValueError(f"{where} needs at least one word, and no negative cycles")
    if tensor.producer is not None:
        for consumer in tensor.consumers:
            if positions[consumer] <= positions[tensor.producer]:
                raise ValueError(
                    f"{where} goes from {tensor.producer!r} back to {consumer!r}: the graph is cyclic, or its tasks are "
                    f"not in topological order"
                )


def _check_candidate(candidate: Candidate, positions: dict[str, int]) -> None:
    if not candidate.tasks:
        raise ValueError("a candidate has no tasks")
    if unknown := sorted(candidate.tasks - positions.keys()):
        raise ValueError(f"candidate {candidate.text} names an unknown task {unknown[0]!r}")
    if min(candidate.cycles, candidate.working_words, candidate.load_cycles, candidate.hiding_cycles) < 0:
        raise ValueError(f"candidate {candidate.text} has negative cycles or words")
    if candidate.hiding_cycles > candidate.cycles:
        raise ValueError(f"candidate {candidate.text} hides a load in more cycles than it takes")


def _relations(problem: Problem, positions: dict[str, int]) -> tuple[list[int], list[int]]:
    """Ancestors and descendants of each task, as bit sets over positions."""
    edges = sorted(
        {
            (positions[tensor.producer], positions[consumer])
            for tensor in problem.tensors
            if tensor.producer is not None
            for consumer in tensor.consumers
        }
    )
    before, after = [0] * len(positions), [0] * len(positions)
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        before[target] |= before[source] | 1 << source
    for source, target in reversed(edges):
        after[source] |= after[target] | 1 << target
    return before, after


def _check_convex(
    candidate: Candidate,
    tasks: tuple[str, ...],
    before: list[int],
    after: list[int],
    positions: dict[str, int],
) -> None:
    ancestors = descendants = members = 0
    for position in map(positions.__getitem__, candidate.tasks):
        ancestors |= before[position]
        descendants |= after[position]
        members |= 1 << position
    if between := ancestors & descendants & ~members:
        task = tasks[between.bit_length() - 1]
        raise ValueError(
            f"candidate {candidate.text} is not convex: a path leaves it, and comes back, by {task!r}"
        )

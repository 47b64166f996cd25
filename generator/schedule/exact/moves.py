"""The problem in bit sets, as the dynamic programme reads it.

Bit i of a task set is the i-th task in topological order; bit i of a tensor set is the i-th tensor that may have to
wait between phases (`Tensor.placeable`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .bounds import prices
from .load import exposed
from .problem import Candidate, Problem
from .spill import spill_cycles, spill_words


@dataclass(frozen=True)
class Move:
    """A candidate phase.

    Attributes:
        candidate: what it stands for.
        tasks: task set.
        before: tasks outside that must be done before.
        after: tasks outside that must not be done before.
        makes: tensors it makes of which some reader is outside.
        reads: tensors it reads that are made outside.
        price: lower bound on what its tasks cost, in `Table.scale`.
    """

    candidate: Candidate
    tasks: int
    before: int
    after: int
    makes: int
    reads: int
    price: int


class Table:
    """Moves, and the costs of tensor sets (remembered).

    Attributes:
        moves: without those that can never be part of the best solution, ordered by text.
        followers: task -> the tasks that read its tensors.
        scale: unit of prices is 1 / scale cycles.
        price: of all tasks.

    Raises:
        NoScheduleError: a task is in no usable candidate.
    """

    def __init__(self, problem: Problem) -> None:
        self.capacity = problem.capacity_words
        self.size = len(problem.tasks)
        self.tensors = tuple(tensor for tensor in problem.tensors if tensor.placeable)
        self.followers = [0] * self.size
        found = prices(problem)
        self.scale = found.scale
        self.price = sum(found.of.values())
        self._words: dict[int, int] = {0: 0}
        self._spills: dict[tuple[int, int], tuple[int, int]] = {(0, 0): (0, 0)}
        bits = {task: 1 << position for position, task in enumerate(problem.tasks)}
        predecessors = [sum(bits[task] for task in problem.predecessors[name]) for name in problem.tasks]
        for position, earlier in enumerate(predecessors):
            for other in bits_of(earlier):
                self.followers[other] |= 1 << position
        producers = [bits[tensor.producer] for tensor in self.tensors if tensor.producer is not None]
        readers = [sum(bits[task] for task in tensor.consumers) for tensor in self.tensors]
        made_by: dict[int, int] = defaultdict(int)
        read_by: dict[int, int] = defaultdict(int)
        for index, (producer, consumers) in enumerate(zip(producers, readers, strict=True)):
            made_by[producer.bit_length() - 1] |= 1 << index
            for task in bits_of(consumers):
                read_by[task] |= 1 << index
        moves = []
        for candidate in _useful(problem):
            tasks = sum(bits[task] for task in candidate.tasks)
            before = after = made = read = 0
            for position in bits_of(tasks):
                before |= predecessors[position]
                after |= self.followers[position]
                made |= made_by[position]
                read |= read_by[position]
            makes = sum(1 << index for index in bits_of(made) if readers[index] & ~tasks)
            price = sum(found.of[task] for task in candidate.tasks)
            moves.append(Move(candidate, tasks, before & ~tasks, after & ~tasks, makes, read & ~made, price))
        self.moves = tuple(moves)

    @cached_property
    def by_last(self) -> tuple[tuple[Move, ...], ...]:
        """Moves by the last of their tasks in topological order."""
        groups: list[list[Move]] = [[] for _ in range(self.size)]
        for move in self.moves:
            groups[move.tasks.bit_length() - 1].append(move)
        return tuple(tuple(group) for group in groups)

    @cached_property
    def roomy(self) -> bool:
        """True if everything fits on chip at once, so that nothing need ever be spilled."""
        working = max((move.candidate.working_words for move in self.moves), default=0)
        return self.words((1 << len(self.tensors)) - 1) + working <= self.capacity

    def last_moves(self, downset: int) -> Iterator[Move]:
        """The phases that may come last when exactly these tasks are done."""
        for last in bits_of(downset):
            if not self.followers[last] & downset:
                for move in self.by_last[last]:
                    if not move.tasks & ~downset and not move.after & downset:
                        yield move

    def words(self, tensors: int) -> int:
        """On-chip words of a set of tensors."""
        if tensors not in self._words:
            self._words[tensors] = sum(self.tensors[index].words for index in bits_of(tensors))
        return self._words[tensors]

    def spills(self, written: int, read: int) -> tuple[int, int]:
        """Cycles and off-chip words of a phase that writes and reads these spilled tensors."""
        key = written, read
        if key not in self._spills:
            sets = (
                [self.tensors[index] for index in bits_of(written)],
                [self.tensors[index] for index in bits_of(read)],
            )
            self._spills[key] = spill_cycles(*sets), spill_words(*sets)
        return self._spills[key]


def bits_of(mask: int) -> Iterator[int]:
    """Positions of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def subsets(mask: int) -> Iterator[int]:
    """All subsets of a set, from the full one down to the empty one."""
    subset = mask
    while True:
        yield subset
        if not subset:
            return
        subset = subset - 1 & mask


def _useful(problem: Problem) -> Iterator[Candidate]:
    """Candidates by text, without those that another one with the same tasks beats whatever the rest looks like.

    A candidate that takes as many cycles as another but more memory stays if its text comes first: where memory does
    not matter, it is the best.
    """
    alike: dict[frozenset[str], list[Candidate]] = defaultdict(list)
    for candidate in sorted(problem.candidates, key=lambda candidate: candidate.text):
        rivals = alike[candidate.tasks]
        if candidate.working_words <= problem.capacity_words:
            rivals.append(candidate)
    kept = [
        candidate
        for rivals in alike.values()
        for candidate in rivals
        if not any(_beats(rival, candidate) for rival in rivals)
    ]
    return iter(sorted(kept, key=lambda candidate: candidate.text))


def _beats(rival: Candidate, candidate: Candidate) -> bool:
    """Both after a phase that hides nothing of what the rival loads beyond the other, and whatever comes after.

    With a load of L behind it, a candidate takes its `cycles - hiding_cycles` and the larger of `hiding_cycles` and L, so
    that it is enough to compare for no load and for an endless one.
    """
    more = exposed(rival.load_cycles, candidate.load_cycles)
    rest = rival.cycles - rival.hiding_cycles + more, candidate.cycles - candidate.hiding_cycles
    cycles = rival.cycles + more, candidate.cycles
    if rival.working_words > candidate.working_words or cycles[0] > cycles[1] or rest[0] > rest[1]:
        return False
    return (cycles[0] < cycles[1] and rest[0] < rest[1]) or rival.text < candidate.text

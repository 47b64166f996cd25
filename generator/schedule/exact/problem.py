"""The combinatorial problem: tasks, the tensors between them, and the candidate phases with their costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .validate import validate


@dataclass(frozen=True)
class Tensor:
    """A tensor between tasks.

    Graph inputs (`producer` None) and outputs (`is_output`) live off chip, whoever else reads them; what they cost is
    part of the candidates' cycles. Every other tensor that a later phase reads is kept on chip or spilled.

    Attributes:
        name: unique among the tensors.
        producer: task that makes it; None for a graph input.
        consumers: tasks that read it.
        words: on-chip words it fills, and off-chip words it takes to write or to read it.
        is_output: True for a graph output.
        write_cycles: what spilling adds to the phase that makes it.
        read_cycles: what spilling adds to each later phase that reads it.
    """

    name: str
    producer: str | None
    consumers: tuple[str, ...]
    words: int
    is_output: bool = False
    write_cycles: int = 0
    read_cycles: int = 0

    @property
    def placeable(self) -> bool:
        """True if it may have to wait between phases, so that somebody decides where."""
        return self.producer is not None and not self.is_output and bool(self.consumers)


Text = tuple[tuple[str, ...], str]
"""A candidate's canonical text: its sorted task names, and its label."""


@dataclass(frozen=True)
class Candidate:
    """A possible phase, or several that follow one another whatever the rest of the schedule is.

    Attributes:
        tasks: a convex set: no path leaves it and comes back.
        cycles: latency of the phase if nothing is spilled and what it loads is there.
        label: tells candidates with the same tasks apart (pattern, allocation).
        working_words: on-chip memory that the phase needs beside the tensors.
        load_cycles: what it takes to fetch what the phase needs before it begins; the phase before may hide them.
        hiding_cycles: of `cycles`, those at the end in which the load of the next phase may come.
    """

    tasks: frozenset[str]
    cycles: int
    label: str = ""
    working_words: int = 0
    load_cycles: int = 0
    hiding_cycles: int = 0

    @cached_property
    def text(self) -> Text:
        """Identifies the candidate within its problem."""
        return tuple(sorted(self.tasks)), self.label


@dataclass(frozen=True)
class Problem:
    """Tasks in topological order, tensors, candidates, and the on-chip words for tensors and working memory.

    Raises:
        ValueError: names are unknown or repeated, edges go backwards, a candidate is empty or not convex, two
            candidates share tasks and label, a task is in no candidate, or a number is negative.
    """

    tasks: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    candidates: tuple[Candidate, ...]
    capacity_words: int

    def __post_init__(self) -> None:
        validate(self)

    @cached_property
    def tensors_of(self) -> Mapping[str, tuple[Tensor, ...]]:
        """Task -> the tensors that it makes or reads."""
        near: dict[str, list[Tensor]] = {task: [] for task in self.tasks}
        for tensor in self.tensors:
            for task in filter(None, (tensor.producer, *tensor.consumers)):
                near[task].append(tensor)
        return {task: tuple(tensors) for task, tensors in near.items()}

    @cached_property
    def predecessors(self) -> Mapping[str, frozenset[str]]:
        """Task -> the tasks whose tensors it reads."""
        before: dict[str, set[str]] = {task: set() for task in self.tasks}
        for tensor in self.tensors:
            if tensor.producer is not None:
                for consumer in tensor.consumers:
                    before[consumer].add(tensor.producer)
        return {task: frozenset(tasks) for task, tasks in before.items()}

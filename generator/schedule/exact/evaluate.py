"""Checks a complete answer against the definitions, and computes its objective: the judge of every solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import OverCapacityError
from .load import exposed
from .problem import Candidate, Problem, Tensor
from .solution import Objective, Placement
from .spill import spill_cycles, spill_words


def evaluate(problem: Problem, phases: Sequence[Candidate], placements: Mapping[str, Placement]) -> Objective:
    """The objective of a legal answer.

    Raises:
        OverCapacityError: a phase needs more on-chip words than there are.
        ValueError: the answer is illegal in another way.
    """
    phase_of = _phase_of(problem, phases)
    waiting = crossing(problem, phases)
    if placements.keys() != {tensor.name for tensor in waiting}:
        raise ValueError("placements must name exactly the tensors that a later phase reads")
    spans = {tensor.name: _span(tensor, phase_of) for tensor in waiting}
    cycles = words = peak = hiding = 0
    text = []
    for index, phase in enumerate(phases):
        made = [tensor for tensor in waiting if tensor.producer in phase.tasks]
        read = [
            tensor
            for tensor in waiting
            if tensor not in made and not phase.tasks.isdisjoint(tensor.consumers)
        ]
        written = [tensor for tensor in made if placements[tensor.name] == "spilled"]
        fetched = [tensor for tensor in read if placements[tensor.name] == "spilled"]
        cycles += exposed(phase.load_cycles, hiding) + phase.cycles + spill_cycles(written, fetched)
        hiding = phase.hiding_cycles
        words += spill_words(written, fetched)
        live = [
            tensor.words
            for tensor in waiting
            if index in spans[tensor.name] and placements[tensor.name] == "chip"
        ]
        need = sum(live) + phase.working_words
        if need > problem.capacity_words:
            raise OverCapacityError(f"phase {index} needs {need} words of {problem.capacity_words}")
        peak = max(peak, need)
        text.append((phase.text, tuple(sorted(tensor.name for tensor in written))))
    return Objective(cycles, words, peak, tuple(text))


def crossing(problem: Problem, phases: Sequence[Candidate]) -> tuple[Tensor, ...]:
    """The tensors that must wait for a later phase, on chip or spilled."""
    phase_of = {task: phase for phase in phases for task in phase.tasks}
    return tuple(
        tensor
        for tensor in problem.tensors
        if tensor.producer is not None
        and tensor.placeable
        and not phase_of[tensor.producer].tasks.issuperset(tensor.consumers)
    )


def _phase_of(problem: Problem, phases: Sequence[Candidate]) -> dict[str, int]:
    """Task -> index of its phase, after checking that the phases are a legal sequence."""
    phase_of: dict[str, int] = {}
    offered = set(problem.candidates)
    for index, phase in enumerate(phases):
        if phase not in offered:
            raise ValueError(f"phase {index} is not a candidate of the problem")
        for task in phase.tasks:
            if task in phase_of:
                raise ValueError(f"task {task!r} is in more than one phase")
            phase_of[task] = index
    for task in problem.tasks:
        if task not in phase_of:
            raise ValueError(f"task {task!r} is in no phase")
        for earlier in problem.predecessors[task]:
            if phase_of[earlier] > phase_of[task]:
                raise ValueError(f"task {task!r} runs before {earlier!r}, whose result it reads")
    return phase_of


def _span(tensor: Tensor, phase_of: Mapping[str, int]) -> range:
    """The phases during which a waiting tensor exists."""
    assert tensor.producer is not None
    return range(phase_of[tensor.producer], max(phase_of[consumer] for consumer in tensor.consumers) + 1)

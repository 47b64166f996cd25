"""The exact solver: a dynamic programme over the downsets of the task graph.

A downset is a set of tasks that may have been done at some time: with a task, it holds all that come before. A state is
a downset together with the places of the tensors that wait between it and the rest. What the remaining phases cost
depends on nothing else, so one label per state is enough: the least (cycles, spilled words, peak words) to the end.
(The first two add up. The peak is a maximum, and the smaller one is never worse, so comparing in this order is exact.)

Labels are computed from the end, all tasks done, backwards. The solution is then read forwards, always by the first
move in the order of texts that still leads to the best costs; hence the text is the smallest as well.

Beams of growing width come first. Each finds a solution, and a state from which even the prices of the tasks before it
(`bounds`) lead to more cycles than that cannot be part of the best one. Such states are left out from then on; a beam
that is wide enough for all others has done the whole search.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import nsmallest

from .bounds import lower_bound_cycles
from .errors import NoScheduleError, TooManyStatesError
from .evaluate import evaluate
from .moves import Move, Table, bits_of, subsets
from .problem import Candidate, Problem
from .solution import Placement, Solution

MAX_STATES = 200_000

_PROBE_WIDTHS = (8, 64, 512)
"""Beams tried before all states are; one that is wide enough for every state ends the search."""

_Label = tuple[int, int, int]
"""Cycles, spilled words and peak words from a state to the end."""


@dataclass
class _Downset:
    """What is known of a downset.

    Attributes:
        waiting: tensors made inside and read outside.
        price: lower bound for the tasks inside, in `Table.scale`.
        labels: set of the waiting tensors that are on chip -> label.
    """

    waiting: int
    price: int
    labels: dict[int, _Label] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sweep:
    """Labels of the states that a sweep kept."""

    downsets: dict[int, _Downset]
    dropped: bool

    @property
    def best(self) -> _Label | None:
        """Label of the start, where nothing is done yet."""
        return self.downsets[0].labels.get(0) if 0 in self.downsets else None


def solve(problem: Problem, *, max_states: int = MAX_STATES, beam: int | None = None) -> Solution:
    """The best solution: it is unique, and does not depend on the order of candidates or tensors.

    Args:
        problem: what to solve.
        max_states: states after which the graph counts as too wide to be solved exactly.
        beam: for graphs that are too wide: how many states to keep after each number of tasks. The solution then says
            that it is not proved to be optimal.

    Raises:
        NoScheduleError: there is no solution, or the beam missed all of them.
        TooManyStatesError: the graph is too wide, and no beam is given.
    """
    table = Table(problem)
    sweep = _search(table, max_states, beam)
    if sweep.best is None:
        raise NoScheduleError(
            f"no sequence of candidate phases was found within {problem.capacity_words} on-chip words"
            + (f": a beam of {beam} states may be too narrow" if sweep.dropped else "")
        )
    phases, placements = _read(table, sweep.downsets, sweep.best)
    objective = evaluate(problem, phases, placements)
    bound = lower_bound_cycles(problem) if sweep.dropped else objective.cycles
    return Solution(phases, placements, objective, optimal=not sweep.dropped, lower_bound_cycles=bound)


def _search(table: Table, max_states: int, beam: int | None) -> _Sweep:
    """A sweep that dropped nothing that could be best; or, if the graph is too wide for one, the best one found."""
    found: list[_Sweep] = []
    most_cycles: int | None = None
    for width in (*_PROBE_WIDTHS, None):
        try:
            sweep = _sweep(table, max_states, width, most_cycles)
        except TooManyStatesError:
            if beam is None:
                raise
            sweep = _sweep(table, max_states, beam, most_cycles)
        if not sweep.dropped:
            return sweep
        if sweep.best is not None:
            found.append(sweep)
            most_cycles = sweep.best[0]
    return min(found, key=lambda sweep: sweep.best or (0, 0, 0), default=sweep)


def _sweep(table: Table, max_states: int, width: int | None, most_cycles: int | None) -> _Sweep:
    """Labels of the states that may lead to at most that many cycles.

    Args:
        table: the problem.
        max_states: when to give up; not for a beam.
        width: of the beam: states to keep for each number of tasks done, the most promising ones; None keeps all.
        most_cycles: of a known solution; None if there is none.
    """
    full = (1 << table.size) - 1
    downsets = {full: _Downset(0, table.price, {0: (0, 0, 0)})}
    levels: list[list[int]] = [[] for _ in range(table.size)] + [[full]]
    limit = None if most_cycles is None else most_cycles * table.scale
    states = 1
    dropped = False
    for level in reversed(levels[1:]):
        if width is not None:
            dropped |= _narrow(table, [downsets[key] for key in level], width)
        for key in level:
            here = downsets[key]
            if not here.labels:
                continue
            fewest = min(label[0] for label in here.labels.values())
            for move in table.last_moves(key):
                least = (fewest + move.candidate.cycles) * table.scale + here.price - move.price
                if limit is not None and least > limit:
                    continue
                there = key ^ move.tasks
                if there not in downsets:
                    waiting = here.waiting & ~move.makes | move.reads
                    downsets[there] = _Downset(waiting, here.price - move.price)
                    levels[there.bit_count()].append(there)
                states += _extend(table, move, here, downsets[there], limit)
            if width is None and states > max_states:
                raise TooManyStatesError(max_states, len(downsets))
    return _Sweep(downsets, dropped)


def _extend(table: Table, move: Move, here: _Downset, there: _Downset, limit: int | None) -> int:
    """Labels of the states before a move, from those after it; returns how many are new."""
    known = len(there.labels)
    labels = there.labels
    room = table.capacity - move.candidate.working_words
    own_cycles = move.candidate.cycles
    most = None if limit is None else (limit - there.price) // table.scale - own_cycles
    new = move.reads & ~here.waiting
    for kept in (new,) if table.roomy else subsets(new):
        kept_words = table.words(kept)
        if kept_words > room:
            continue
        for chip, (cycles, words, peak) in here.labels.items():
            used = table.words(chip) + kept_words
            if used > room:
                continue
            written = move.makes & ~chip
            read = move.reads & ~(chip | kept)
            if written or read:
                more_cycles, more_words = table.spills(written, read)
                cycles += more_cycles
                words += more_words
            if most is not None and cycles > most:
                continue
            used += move.candidate.working_words
            label = cycles + own_cycles, words, max(used, peak)
            place = chip & ~move.makes | kept
            if place not in labels or label < labels[place]:
                labels[place] = label
    return len(labels) - known


def _narrow(table: Table, level: list[_Downset], width: int) -> bool:
    """Keeps the states that promise the fewest cycles; returns whether any was dropped."""
    ranked = [
        (label[0] * table.scale + downset.price, label, index, chip)
        for index, downset in enumerate(level)
        for chip, label in downset.labels.items()
    ]
    if len(ranked) <= width:
        return False
    kept: list[dict[int, _Label]] = [{} for _ in level]
    for _, label, index, chip in nsmallest(width, ranked):
        kept[index][chip] = label
    for downset, labels in zip(level, kept, strict=True):
        downset.labels = labels
    return True


def _read(
    table: Table, downsets: dict[int, _Downset], best: _Label
) -> tuple[tuple[Candidate, ...], dict[str, Placement]]:
    """The solution with the best costs and the smallest text, from the start to the end."""
    phases: list[Candidate] = []
    placements: dict[str, Placement] = {}
    done = chip = 0
    cycles, words, peak = best
    while done != (1 << table.size) - 1:
        move, spilled, cycles, words = _step(table, downsets, (done, chip), (cycles, words, peak))
        done |= move.tasks
        chip = (chip | move.makes & ~spilled) & downsets[done].waiting
        phases.append(move.candidate)
        for index in bits_of(move.makes):
            placements[table.tensors[index].name] = "spilled" if spilled >> index & 1 else "chip"
    return tuple(phases), placements


def _step(
    table: Table, downsets: dict[int, _Downset], state: tuple[int, int], target: _Label
) -> tuple[Move, int, int, int]:
    """The first move from a state on a way with these cycles and words, and no higher peak.

    Returns:
        The move, the tensors that it spills, and the cycles and words that remain.
    """
    done, chip = state
    cycles, words, peak = target
    for move in table.moves:
        after = downsets.get(done | move.tasks)
        if move.tasks & done or move.before & ~done or after is None:
            continue
        for spilled in sorted(subsets(move.makes), key=lambda chosen: _names(table, chosen)):
            more_cycles, more_words = table.spills(spilled, move.reads & ~chip)
            place = (chip | move.makes & ~spilled) & after.waiting
            used = table.words(chip | move.makes & ~spilled) + move.candidate.working_words
            rest = after.labels.get(place)
            if (
                rest is not None
                and max(used, rest[2]) <= peak
                and (rest[0] + more_cycles + move.candidate.cycles, rest[1] + more_words) == (cycles, words)
            ):
                return move, spilled, rest[0], rest[1]
    raise AssertionError("a label has no move that explains it")


def _names(table: Table, tensors: int) -> tuple[str, ...]:
    return tuple(sorted(table.tensors[index].name for index in bits_of(tensors)))

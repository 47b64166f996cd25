"""The exact solver: a dynamic programme over the downsets of the task graph.

A downset is a set of tasks that may have been done at some time: with a task, it holds all that come before. A state is
a downset together with the places of the tensors that wait between it and the rest, and the load of the phase that comes
next, which the phase before may hide. What the remaining phases cost depends on nothing else, so one label per state is
enough: the least (cycles, spilled words, peak words) to the end, without the load. (The first two add up. The peak is a
maximum, and the smaller one is never worse, so comparing in this order is exact.)

A label is left out where another load's label takes fewer cycles even if all that its load is longer has to be waited for.

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
from .load import exposed
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
        labels: set of the waiting tensors that are on chip -> load of the next phase -> label.
    """

    waiting: int
    price: int
    labels: dict[int, dict[int, _Label]] = field(default_factory=dict)

    @property
    def fewest(self) -> int:
        """Cycles of the best label."""
        return min(label[0] for by_load in self.labels.values() for label in by_load.values())

    def leave_out_worse(self) -> None:
        """Drops labels that a label with another load beats, whatever comes before."""
        for by_load in self.labels.values():
            if len(by_load) > 1:
                fewest, least = min((label[0], load) for load, label in by_load.items())
                for load in [
                    one for one, label in by_load.items() if fewest + exposed(least, one) < label[0]
                ]:
                    del by_load[load]


@dataclass(frozen=True)
class _Sweep:
    """Labels of the states that a sweep kept."""

    downsets: dict[int, _Downset]
    dropped: bool

    @property
    def best(self) -> _Label | None:
        """Label of the start, where nothing is done yet, with the load of the first phase."""
        return self.downsets[0].labels.get(0, {}).get(0) if 0 in self.downsets else None


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
    downsets = {full: _Downset(0, table.price, {0: {0: (0, 0, 0)}})}
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
            here.leave_out_worse()
            fewest = here.fewest
            for move in table.last_moves(key):
                least = (fewest + move.candidate.cycles) * table.scale + here.price - move.price
                if limit is not None and least > limit:
                    continue
                there = key ^ move.tasks
                if there not in downsets:
                    waiting = here.waiting & ~move.makes | move.reads
                    downsets[there] = _Downset(waiting, here.price - move.price)
                    levels[there.bit_count()].append(there)
                states += _extend(table, move, here, downsets[there], limit, is_first=not there)
            if width is None and states > max_states:
                raise TooManyStatesError(max_states, len(downsets))
    return _Sweep(downsets, dropped)


def _extend(
    table: Table, move: Move, here: _Downset, there: _Downset, limit: int | None, *, is_first: bool
) -> int:
    """Labels of the states before a move, from those after it; returns how many are new.

    Nothing hides the load of the phase that `is_first`, so its label has it.
    """
    added = 0
    labels = there.labels
    room = table.capacity - move.candidate.working_words
    own_cycles, own_load, hiding = _own(move, is_first=is_first)
    most = None if limit is None else (limit - there.price) // table.scale - own_cycles
    new = move.reads & ~here.waiting
    for kept in (new,) if table.roomy else subsets(new):
        kept_words = table.words(kept)
        if kept_words > room:
            continue
        for chip, by_load in here.labels.items():
            used = table.words(chip) + kept_words
            if used > room:
                continue
            written = move.makes & ~chip
            read = move.reads & ~(chip | kept)
            more_cycles, more_words = table.spills(written, read) if written or read else (0, 0)
            used += move.candidate.working_words
            best: _Label | None = None
            for load, (cycles, words, peak) in by_load.items():
                label = cycles + more_cycles + max(0, load - hiding), words + more_words, max(used, peak)
                if (most is None or label[0] <= most) and (best is None or label < best):
                    best = label
            if best is None:
                continue
            label = best[0] + own_cycles, best[1], best[2]
            known = labels.setdefault(chip & ~move.makes | kept, {})
            added += own_load not in known
            if own_load not in known or label < known[own_load]:
                known[own_load] = label
    return added


def _own(move: Move, *, is_first: bool) -> tuple[int, int, int]:
    """Cycles of a move, the load that the phase before it may hide, and the cycles in which it hides that of the next."""
    one = move.candidate
    if is_first:
        return one.cycles + exposed(one.load_cycles, 0), 0, one.hiding_cycles
    return one.cycles, one.load_cycles, one.hiding_cycles


def _narrow(table: Table, level: list[_Downset], width: int) -> bool:
    """Keeps the states that promise the fewest cycles; returns whether any was dropped."""
    ranked = [
        (label[0] * table.scale + downset.price, label, index, chip, load)
        for index, downset in enumerate(level)
        for chip, by_load in downset.labels.items()
        for load, label in by_load.items()
    ]
    if len(ranked) <= width:
        return False
    kept: list[dict[int, dict[int, _Label]]] = [{} for _ in level]
    for _, label, index, chip, load in nsmallest(width, ranked):
        kept[index].setdefault(chip, {})[load] = label
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
    targets = {0: best}
    while done != (1 << table.size) - 1:
        move, spilled, targets = _step(table, downsets, (done, chip), targets)
        done |= move.tasks
        chip = (chip | move.makes & ~spilled) & downsets[done].waiting
        phases.append(move.candidate)
        for index in bits_of(move.makes):
            placements[table.tensors[index].name] = "spilled" if spilled >> index & 1 else "chip"
    return tuple(phases), placements


def _step(
    table: Table, downsets: dict[int, _Downset], state: tuple[int, int], targets: dict[int, _Label]
) -> tuple[Move, int, dict[int, _Label]]:
    """The first move from a state on a way with these cycles and words, and no higher peak.

    Args:
        table: the problem.
        downsets: all labels.
        state: tasks that are done, and tensors that wait on chip.
        targets: by the load of the phase that comes next, what remains from there.

    Returns:
        The move, the tensors that it spills, and what then remains.
    """
    done, chip = state
    for move in table.moves:
        after = downsets.get(done | move.tasks)
        own_cycles, own_load, hiding = _own(move, is_first=not done)
        if move.tasks & done or move.before & ~done or after is None or own_load not in targets:
            continue
        cycles, words, peak = targets[own_load]
        for spilled in sorted(subsets(move.makes), key=lambda chosen: _names(table, chosen)):
            more_cycles, more_words = table.spills(spilled, move.reads & ~chip)
            place = (chip | move.makes & ~spilled) & after.waiting
            used = table.words(chip | move.makes & ~spilled) + move.candidate.working_words
            rest = {
                load: (label[0], label[1], peak)
                for load, label in after.labels.get(place, {}).items()
                if label[0] + more_cycles + own_cycles + exposed(load, hiding) == cycles
                and label[1] + more_words == words
                and max(used, label[2]) <= peak
            }
            if rest:
                return move, spilled, rest
    raise AssertionError("a label has no move that explains it")


def _names(table: Table, tensors: int) -> tuple[str, ...]:
    return tuple(sorted(table.tensors[index].name for index in bits_of(tensors)))

"""Weights that come from DRAM phase by phase: how long they take, and which phases wait for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from ..cost import PHASE_OVERHEAD, fetch_cycles
from ..machine.hardware import Hardware
from .plan import Weights

Loads = tuple[tuple[int, int], ...]
"""For each unit that loads weights in a phase: entries, and bytes of an entry."""


@dataclass(frozen=True)
class Streaming:
    """How weights come from DRAM.

    Attributes:
        weights: before the phase, or during the one before it.
        entries: of an engine's memory; a phase whose weights need more is not possible.
        word_bytes: of a DRAM word of weights; every entry begins at one.
        words_per_cycle: how fast they come, one at most.
    """

    weights: Weights
    entries: int
    word_bytes: int
    words_per_cycle: float

    def holds(self, loads: Loads) -> bool:
        """True if the weights of a phase fit."""
        return all(entries <= self.entries for entries, _ in loads)

    def cycles(self, loads: Loads) -> int:
        """Cycles to fetch the weights of a phase."""
        words = sum(entries * ceil(each / self.word_bytes) for entries, each in loads)
        return fetch_cycles(words, self.words_per_cycle)


def loads_of(units: Mapping[str, Hardware], phase: int) -> Loads:
    """What the units load for a phase."""
    return tuple(load for unit in units.values() if (load := unit.loaded(phase))[0])


def waits(loads: Sequence[int], weights: Weights) -> list[tuple[int, int]]:
    """Of each phase: cycles before it begins, and cycles that it takes at least, because of its weights or the next one's.

    Args:
        loads: cycles to fetch the weights of each phase.
        weights: when they come.
    """
    if weights is Weights.LOADED:
        return [(load, 0) for load in loads]
    before = [loads[0], *[0] * (len(loads) - 1)]
    beside = [load + PHASE_OVERHEAD if load else 0 for load in (*loads[1:], 0)]
    return list(zip(before, beside, strict=True))


def with_loads(cycles: Sequence[int], loads: Sequence[int], weights: Weights) -> list[int]:
    """Cycles of phases that wait for their weights, or for those of the phase after them, and the first for its own.

    Args:
        cycles: of each phase, if its weights are there.
        loads: cycles to fetch the weights of each.
        weights: when they come.
    """
    times = zip(cycles, waits(loads, weights), strict=True)
    return [before + max(own, beside) for own, (before, beside) in times]

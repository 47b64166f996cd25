"""What the way to DRAM costs a schedule: weights that come phase by phase, and tensors that wait there between phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from ..board import Board
from ..cost import PHASE_OVERHEAD, Dram
from ..machine.hardware import Hardware
from ..task_graph import TaskGraph
from .plan import Weights

UNLIMITED = 1 << 30
"""Entries of a memory, or words of a bank, that are more than any model needs."""

Loads = tuple[tuple[int, int], ...]
"""For each unit that loads weights in a phase: entries, and bytes of an entry."""


@dataclass(frozen=True)
class Streaming:
    """How weights come from DRAM: when, by what, and into memories of so many `entries` of each engine.

    A phase whose weights need more is not possible.
    """

    weights: Weights
    dram: Dram
    entries: int = UNLIMITED

    def holds(self, loads: Loads) -> bool:
        """True if the weights of a phase fit."""
        return all(entries <= self.entries for entries, _ in loads)

    def cycles(self, loads: Loads) -> int:
        """Cycles to fetch the weights of a phase."""
        return self.dram.weights(weight_words(loads, self.dram.weight_bytes))


def dram_of(board: Board, graph: TaskGraph, lanes: int, weight_bytes: int = 0) -> Dram:
    """How a board's DRAM serves words of so many elements; those of weights are as wide if not told."""
    word_bytes = lanes * (1 if max(tensor.number.bits for tensor in graph.tensors.values()) <= 8 else 2)
    return Dram(board.bytes_per_cycle(board.clock_mhz), word_bytes, weight_bytes or word_bytes)


def weight_words(loads: Loads, weight_bytes: int) -> int:
    """DRAM words of the weights of a phase; every entry begins at one."""
    return sum(entries * ceil(each / weight_bytes) for entries, each in loads)


def loads_of(units: Mapping[str, Hardware], phase: int) -> Loads:
    """What the units load for a phase."""
    return tuple(load for unit in units.values() if (load := unit.loaded(phase))[0])


def with_loads(cycles: Sequence[int], loads: Sequence[int], weights: Weights) -> list[int]:
    """Cycles of phases that wait for their weights, or for those of the phase after them, and the first for its own.

    Args:
        cycles: of each phase, if its weights are there.
        loads: cycles to fetch the weights of each.
        weights: when they come.
    """
    if weights is Weights.LOADED:
        return [load + own for own, load in zip(cycles, loads, strict=True)]
    beside = [load + PHASE_OVERHEAD if load else 0 for load in (*loads[1:], 0)]
    longer = [max(own, load) for own, load in zip(cycles, beside, strict=True)]
    return [loads[0] + longer[0], *longer[1:]]

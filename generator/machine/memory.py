"""Where tensors that outlive a phase are kept: DRAM, or an on-chip bank and an offset by lifetime."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from ..schedule.plan import Schedule, ScheduleError
from ..task_graph import TaskGraph
from .hardware import words_of
from .wiring import Wiring

DRAM = -1
"""Store of the model's inputs and outputs; banks are numbered from 0."""


@dataclass(frozen=True)
class Place:
    """Where a tensor is, in words."""

    store: int
    offset: int
    words: int


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all tensors that cross a phase boundary, and the sizes of the memories, in words.

    `banks` is the number of on-chip banks, all of `bank_words` words.
    """

    places: dict[str, Place]
    banks: int
    bank_words: int


def plan_memory(graph: TaskGraph, schedule: Schedule, wiring: Wiring) -> MemoryPlan:
    """Model inputs and outputs in DRAM, other crossing tensors in banks.

    A phase reads each operand from a bank of its own and writes another one, because every bank has one reading or
    writing process. That makes a graph-colouring problem: tensors touched by one phase differ in colour. Within a bank
    a tensor takes the lowest offset that no tensor alive at the same time covers.

    Raises:
        ScheduleError: an output of the model is also read by a later phase.
    """
    words = {name: words_of(graph, name, schedule.lanes) for name in graph.tensors}
    places: dict[str, Place] = {}
    for names in (graph.inputs, graph.outputs):
        offset = 0
        for name in names:
            places[name] = Place(DRAM, offset, words[name])
            offset += words[name]
    conflicts: nx.Graph[str] = nx.Graph()
    last_use: dict[str, int] = {}
    for index, stored in enumerate(wiring.stored):
        read = [name for name in wiring.fed[index] if name and name not in graph.inputs]
        if late := [name for name in read if name in graph.outputs]:
            raise ScheduleError(
                f"tensor {late[0]!r} is an output of the model and also read by a later phase"
            )
        touched = [*read, *([stored] if stored not in graph.outputs else [])]
        conflicts.add_nodes_from(touched)
        conflicts.add_edges_from((a, b) for a in touched for b in touched if a < b)
        last_use |= dict.fromkeys(touched, index)
    colours: dict[str, int] = nx.greedy_color(conflicts, strategy="DSATUR") if conflicts else {}
    banks = max(colours.values(), default=-1) + 1
    bank_words = 0
    alive: list[str] = []
    for index, stored in enumerate(wiring.stored):
        if stored not in colours or stored in places:  # a later share of a tensor has its place already
            continue
        alive = [name for name in alive if last_use[name] >= index]
        taken = sorted(
            (places[name].offset, places[name].words) for name in alive if colours[name] == colours[stored]
        )
        offset = 0
        for start, length in taken:
            if offset + words[stored] <= start:
                break
            offset = max(offset, start + length)
        places[stored] = Place(colours[stored], offset, words[stored])
        bank_words = max(bank_words, offset + words[stored])
        alive.append(stored)
    # The region has one reading port per feed that ever reads a bank, and one writing port.
    ports = len(bank_feeds(graph, wiring)) + 1 if colours else 0
    return MemoryPlan(places, max(banks, ports), bank_words)


def bank_feeds(graph: TaskGraph, wiring: Wiring) -> tuple[int, ...]:
    """Indices of the feeds that read a bank in some phase."""
    return tuple(
        index
        for index in range(len(wiring.feeds))
        if any(fed[index] and fed[index] not in graph.inputs for fed in wiring.fed)
    )

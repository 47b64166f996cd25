"""Where tensors that outlive a phase are kept: DRAM, or an on-chip bank and an offset by lifetime."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

import networkx as nx

from ..schedule.plan import Schedule, ScheduleError
from ..task_graph import TaskGraph
from .hardware import words_of
from .machine import DramUse
from .wiring import COLLECT, Wiring

DRAM = -1
"""Store of the model's inputs and outputs; banks are numbered from 0."""

SPILLS = -2
"""Store of tensors that wait in DRAM between phases."""


_MANY = 100
"""Tensors beyond which a colouring in linear time has to do."""


@dataclass(frozen=True)
class Place:
    """Where a tensor is, in words; `step` leads from one sample of a launch to the next, 0 where a launch takes one."""

    store: int
    offset: int
    words: int
    step: int = 0


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all tensors that cross a phase boundary, and the sizes of the memories, in words.

    `banks` is the number of on-chip banks, all of `bank_words` words; `spill_words` are those of the buffer in DRAM.
    """

    places: dict[str, Place]
    banks: int
    bank_words: int
    spill_words: int = 0


def plan_memory(graph: TaskGraph, schedule: Schedule, wiring: Wiring) -> MemoryPlan:
    """Model inputs and outputs in DRAM, other crossing tensors in banks, or in DRAM where the schedule says so.

    A phase reads each operand from a bank of its own and writes another one, because every bank has one reading or
    writing process. That makes a graph-colouring problem: tensors touched by one phase differ in colour. Within a bank
    a tensor takes the lowest offset that no tensor alive at the same time covers. Where a launch takes several samples,
    those of a tensor in a bank lie one behind the other; in the buffers of inputs and outputs, all tensors of a sample do.

    Raises:
        ScheduleError: an output of the model is also read by a later phase.
    """
    words = {name: words_of(graph, name, schedule.lanes) for name in graph.tensors}
    several = schedule.batch > 1
    places: dict[str, Place] = {}
    for names in (graph.inputs, graph.outputs):
        offset = 0
        step = sum(words[name] for name in names) if several else 0
        for name in names:
            places[name] = Place(DRAM, offset, words[name], step)
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
        last_use |= dict.fromkeys(touched, index)
        kept = [name for name in touched if name not in schedule.spilled]
        conflicts.add_nodes_from(kept)
        conflicts.add_edges_from((a, b) for a in kept for b in kept if a < b)
    strategy = "DSATUR" if len(conflicts) <= _MANY else "smallest_last"
    stores: dict[str, int] = nx.greedy_color(conflicts, strategy=strategy) if conflicts else {}
    banks = max(stores.values(), default=-1) + 1
    stores |= dict.fromkeys(schedule.spilled, SPILLS)
    sizes: dict[int, int] = {}

    def room(name: str) -> int:
        return schedule.batch * words[name]

    alive: list[str] = []
    for index, stored in enumerate(wiring.stored):
        if stored not in stores or stored in places:  # a later share of a tensor has its place already
            continue
        store = stores[stored]
        alive = [name for name in alive if last_use[name] >= index]
        taken = sorted((places[name].offset, room(name)) for name in alive if stores[name] == store)
        offset = 0
        for start, length in taken:
            if offset + room(stored) <= start:
                break
            offset = max(offset, start + length)
        places[stored] = Place(store, offset, words[stored], words[stored] if several else 0)
        sizes[store] = max(sizes.get(store, 0), offset + room(stored))
        alive.append(stored)
    spill_words = sizes.pop(SPILLS, 0)
    plan = MemoryPlan(places, banks, max(sizes.values(), default=0), spill_words)
    # The region has one reading port per feed that ever reads a bank, and one writing port.
    ports = len(feeds_of(plan, wiring, BANK_STORES)) + 1 if banks else 0
    return replace(plan, banks=max(banks, ports))


def dram_uses(plan: MemoryPlan, wiring: Wiring) -> tuple[DramUse, ...]:
    """What each phase moves from and to DRAM, weights aside."""

    def of_phase(index: int) -> DramUse:
        moved = moved_words(wiring, index)
        stores = [plan.places[name].store for name, _ in moved]
        words = sum(count for (_, count), store in zip(moved, stores, strict=True) if store in (DRAM, SPILLS))
        return DramUse(words, (stores[0] == SPILLS) + (SPILLS in stores[1:]))

    return tuple(of_phase(index) for index in range(len(wiring.stored)))


def moved_words(wiring: Wiring, phase: int) -> tuple[tuple[str, int], ...]:
    """The tensor that a phase writes to memory, then those that it reads from there, each with the words it moves."""
    traffic = wiring.traffic[phase]
    stored = sum(flow.words for edge, flow in traffic.items() if edge.target == COLLECT)
    read = [
        (tensor, max(flow.words for edge, flow in traffic.items() if edge.source == feed))
        for feed, tensor in zip(wiring.feeds, wiring.fed[phase], strict=True)
        if tensor
    ]
    return (wiring.stored[phase], stored), *read


BANK_STORES = range(1 << 30)
"""Stores that are banks."""


def feeds_of(plan: MemoryPlan, wiring: Wiring, stores: Container[int]) -> tuple[int, ...]:
    """Indices of the feeds that read some of these stores in some phase."""
    return tuple(
        index
        for index in range(len(wiring.feeds))
        if any(fed[index] and plan.places[fed[index]].store in stores for fed in wiring.fed)
    )

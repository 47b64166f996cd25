"""Where tensors that outlive a phase are kept: DRAM, or an on-chip bank and offset by lifetime."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..schedule.plan import Schedule, ScheduleError
from ..task_graph import TaskGraph
from .window import groups


class Store(Enum):
    """A memory that a phase reads or writes."""

    INPUT = "input"
    OUTPUT = "output"
    BANK0 = "bank0"
    BANK1 = "bank1"


@dataclass(frozen=True)
class Place:
    """Where a tensor is, in words."""

    store: Store
    offset: int
    words: int


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all tensors that cross a phase boundary, and the sizes of the memories, in words.

    `bank_words` is the size of each of the two banks, 0 if no tensor is kept on chip.
    """

    places: dict[str, Place]
    input_words: int
    output_words: int
    bank_words: int


def plan_memory(graph: TaskGraph, schedule: Schedule) -> MemoryPlan:
    """Graph inputs and outputs in DRAM; other crossing tensors in two banks, so that no phase reads what it writes.

    Within a bank a tensor takes the lowest offset that no tensor alive at the same time covers.
    """
    words = {name: t.pixels * groups(t.channels, schedule.lanes) for name, t in graph.tensors.items()}
    places: dict[str, Place] = {}
    sizes = {store: 0 for store in Store}
    for store, names in ((Store.INPUT, graph.inputs), (Store.OUTPUT, graph.outputs)):
        for name in names:
            places[name] = Place(store, sizes[store], words[name])
            sizes[store] += words[name]
    alive: list[tuple[int, str]] = []  # (last phase that reads it, tensor)
    for index, phase in enumerate(schedule.phases):
        read = {name for task in phase.tasks for name in graph.task(task).inputs if name in places}
        for name in _crossing(graph, schedule, index):
            if name in graph.outputs:
                raise ScheduleError(f"tensor {name!r} is an output of the model and also read by a later phase")
            bank = Store.BANK1 if any(places[source].store is Store.BANK0 for source in read) else Store.BANK0
            taken = sorted(
                (places[other].offset, places[other].words)
                for last, other in alive
                if last >= index and places[other].store is bank
            )
            offset = 0
            for start, length in taken:
                if offset + words[name] <= start:
                    break
                offset = max(offset, start + length)
            places[name] = Place(bank, offset, words[name])
            sizes[bank] = max(sizes[bank], offset + words[name])
            alive.append((_last_use(graph, schedule, name), name))
    bank_words = max(sizes[Store.BANK0], sizes[Store.BANK1])
    return MemoryPlan(places, sizes[Store.INPUT], sizes[Store.OUTPUT], bank_words)


def _crossing(graph: TaskGraph, schedule: Schedule, index: int) -> list[str]:
    """Tensors that phase `index` makes and a later phase reads."""
    outputs = [graph.task(task).output for task in schedule.phases[index].tasks]
    return [name for name in outputs if _last_use(graph, schedule, name) > index]


def _last_use(graph: TaskGraph, schedule: Schedule, tensor: str) -> int:
    return max((schedule.phase_of(task.name) for task in graph.consumers[tensor]), default=-1)

"""On-chip memory over time as a picture: which tensor lies where in which bank, from which cycle to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..machine.memory import DRAM, SPILLS, Place, plan_memory
from ..machine.wiring import wire
from ..schedule.plan import Schedule
from ..task_graph import TaskGraph
from .svg import COLOURS, Scale, axis, element, fitted, picture, text, titled

BANK = 62
THIN = 26
GAP = 8


@dataclass(frozen=True)
class Stay:
    """A tensor in a store: from the phase that writes it to the last one that reads it; offset and length in words."""

    tensor: str
    producer: str
    store: int
    offset: int
    words: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryMap:
    """All stays, and the banks."""

    banks: int
    bank_words: int
    stays: tuple[Stay, ...]


def memory_map(graph: TaskGraph, schedule: Schedule) -> MemoryMap:
    """Where every tensor lies that crosses a phase boundary, and inputs and outputs of the model."""
    wiring = wire(graph, schedule)
    plan = plan_memory(graph, schedule, wiring)
    stays = []
    dram_words = max((p.offset + p.words for p in plan.places.values() if p.store == DRAM), default=0)
    for tensor, place in plan.places.items():
        if place.store != DRAM:  # all samples of a launch wait there
            place = replace(place, words=schedule.batch * place.words)
        if place.store == SPILLS:  # drawn behind the buffers of the model
            place = Place(DRAM, place.offset + dram_words, place.words)
        producer = graph.producers[tensor].name if tensor in graph.producers else ""
        first = wiring.stored.index(tensor) if tensor in wiring.stored else 0
        readers = [index for index, fed in enumerate(wiring.fed) if tensor in fed]
        last = len(schedule.phases) - 1 if tensor in graph.outputs else max(readers, default=first)
        stays.append(Stay(tensor, producer, place.store, place.offset, place.words, first, last))
    return MemoryMap(plan.banks, plan.bank_words, tuple(stays))


def memory_picture(memory: MemoryMap, cycles: Sequence[int], tasks: Sequence[str], style: str = "") -> str:
    """The picture, on the time scale of the schedule's.

    Args:
        memory: what to draw.
        cycles: of each phase.
        tasks: names of all tasks, in the order of their colours: a tensor has that of the task that makes it.
        style: CSS, for a picture that stands alone.
    """
    scale = Scale(sum(cycles))
    colours = {task: f"c{number % COLOURS}" for number, task in enumerate(tasks)}
    starts = [sum(cycles[:index]) for index in range(len(cycles) + 1)]
    dram_words = max((stay.offset + stay.words for stay in memory.stays if stay.store == DRAM), default=1)
    bottom = THIN + GAP + (BANK + GAP) * memory.banks
    parts = [_store("DRAM", "", 0, THIN, scale)]
    size = f"{memory.bank_words:,} words"
    parts += [_store(f"bank {bank}", size, _top(bank), BANK, scale) for bank in range(memory.banks)]
    parts += [element("path", d=f"M{scale.x(start):.1f} 0V{bottom}", class_="rule") for start in starts[1:-1]]
    for stay in memory.stays:
        words, height = (dram_words, THIN) if stay.store == DRAM else (memory.bank_words, BANK)
        parts.append(_stay(stay, _top(stay.store), height / words, starts, colours, scale))
    parts.append(axis(scale, bottom))
    label = f"Memory over time: {memory.banks} banks of {memory.bank_words:,} words"
    return picture("".join(parts), scale.width, bottom + 24, label, style)


def _top(store: int) -> float:
    return 0 if store == DRAM else THIN + GAP + (BANK + GAP) * store


def _store(name: str, size: str, y: float, height: float, scale: Scale) -> str:
    middle = y + height / 2 + 4
    return (
        element("rect", x=scale.left, y=y, width=scale.end - scale.left, height=height, class_="stripe")
        + text(name, 8, middle - (6 if size else 0), class_="unit")
        + text(size, 8, middle + 9, class_="dim")
    )


def _stay(
    stay: Stay, top: float, pixels: float, starts: Sequence[int], colours: Mapping[str, str], scale: Scale
) -> str:
    """A tensor: offset 0 is at the bottom of its bank."""
    start, end = starts[stay.first], starts[stay.last + 1]
    x, width = scale.x(start), max(scale.length(end - start), 1.5)
    tall = stay.words * pixels
    whole = BANK if stay.store != DRAM else THIN
    y = top + whole - (stay.offset + stay.words) * pixels
    where = "DRAM" if stay.store == DRAM else f"bank {stay.store}"
    return titled(
        element(
            "rect",
            x=x + 1,
            y=y,
            width=max(width - 2, 1),
            height=max(tall - 1, 1),
            rx=2,
            class_=f"stay {colours.get(stay.producer, 'moves')}",
        )
        + (
            text(
                fitted(stay.producer or stay.tensor, width - 8),
                x + 5,
                y + min(tall / 2 + 4, 15),
                class_="label",
            )
            if tall > 11
            else ""
        ),
        f"{stay.tensor}{f' of {stay.producer}' if stay.producer else ''}: {stay.words:,} words at {stay.offset:,} of {where}\n"
        f"phases {stay.first} to {stay.last}, cycles {start:,} to {end:,}",
    )

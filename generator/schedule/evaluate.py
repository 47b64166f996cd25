"""What a schedule costs on a board: cycles per phase, resources, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from ..board import Board, Resources
from ..cost import SHARED, Dram, DramTime, costs
from ..machine.hardware import Hardware, words_of
from ..machine.memory import SPILLS, MemoryPlan, dram_uses, feeds_of, plan_memory
from ..machine.resources import add, bram18, scaled, shared_resources, uram
from ..machine.units.engine import EngineHardware
from ..machine.units.kinds import build_hardware
from ..machine.units.norm import NormHardware
from ..machine.wiring import Wiring, wire
from ..task_graph import TaskGraph
from .dram import dram_of, loads_of, weight_words
from .forms import Units, settle_forms, with_forms
from .plan import BANKS, Schedule, Weights, memory_name
from .stages import PhaseCost, phase_costs
from .storage import LargeMemory, move_to_uram

PORTS = 4
"""AXI masters of the kernel: input, output, weights, taps."""

USABLE = {"dsp": 0.95, "bram18": 0.9, "uram": 0.9, "lut": 0.75, "ff": 0.75}
"""Share of each resource that a design may ask for and still be placed and routed."""


@dataclass(frozen=True)
class Evaluation:
    """A schedule with its cost; `parts` are the resources of each unit by name, and of what they share."""

    schedule: Schedule
    phases: tuple[PhaseCost, ...]
    parts: Mapping[str, Resources]
    excess: tuple[str, ...]

    @property
    def resources(self) -> Resources:
        """Estimate of the whole design."""
        return add(*self.parts.values())

    @property
    def cycles(self) -> int:
        """Latency of one sample."""
        return sum(phase.cycles for phase in self.phases)

    @property
    def interval(self) -> int:
        """Cycles per sample in launches of as many as the schedule takes; its latency where that is one."""
        batch = self.schedule.batch
        return ceil(sum(phase.launch(batch) for phase in self.phases) / batch)

    @property
    def fits(self) -> bool:
        """True if the board holds it."""
        return not self.excess

    @property
    def short_of_memory(self) -> bool:
        """True if memory is all that the board has too little of, or if nothing is."""
        return all(text.startswith(("BRAM18", "URAM")) for text in self.excess)

    @property
    def rank(self) -> tuple[int, ...]:
        """Objective: cycles per sample, then memory, then DSP, then logic."""
        need = self.resources
        return (self.interval, need.uram, need.bram18, need.dsp, need.lut)


def evaluate(graph: TaskGraph, schedule: Schedule, board: Board) -> Evaluation:
    """Cycles and resources of a schedule.

    Raises:
        ScheduleError: the datapath cannot run it.
    """
    return _placed(graph, schedule, board, _datapath(graph, schedule, board))


@dataclass(frozen=True)
class _Datapath:
    """What of a schedule does not depend on where tensors wait between phases."""

    wiring: Wiring
    hardware: Units
    phases: tuple[PhaseCost, ...]  # without what DRAM adds
    bits: int  # of an element of a word


def _datapath(graph: TaskGraph, schedule: Schedule, board: Board) -> _Datapath:
    wiring = wire(graph, schedule)
    bits = 8 if max(tensor.number.bits for tensor in graph.tensors.values()) <= 8 else 16

    def lacking(units: Units) -> tuple[str, ...]:
        _, parts = _parts(schedule, board, wiring, plan_memory(graph, schedule, wiring), units, bits)
        return short_of(add(*parts.values()), board)

    hardware = settle_forms(build_hardware(graph, schedule), board, schedule.lanes, bits, lacking)
    phases = phase_costs(schedule, hardware, wiring)
    return _Datapath(wiring, hardware, phases, bits)


def _placed(graph: TaskGraph, schedule: Schedule, board: Board, path: _Datapath) -> Evaluation:
    """The evaluation of a datapath with tensors in banks, or in DRAM where the schedule says so."""
    memory = plan_memory(graph, schedule, path.wiring)
    moved, parts = _parts(schedule, board, path.wiring, memory, path.hardware, path.bits)
    chosen = replace(with_forms(schedule, path.hardware), uram=moved)
    times = _dram_times(schedule, dram_of(board, graph, schedule.lanes, schedule.weight_bytes), path, memory)
    phases = tuple(replace(phase, dram=time) for phase, time in zip(path.phases, times, strict=True))
    return Evaluation(chosen, phases, parts, exceeded(add(*parts.values()), board))


def _dram_times(schedule: Schedule, dram: Dram, path: _Datapath, memory: MemoryPlan) -> Iterator[DramTime]:
    """What DRAM makes of each phase: weights, and tensors between phases, share its bandwidth."""
    uses = dram_uses(memory, path.wiring)
    words = [0] * len(uses)
    if schedule.streamed:
        words = [
            weight_words(loads_of(path.hardware, index), dram.weight_bytes) for index in range(len(uses))
        ]
    before, beside = words, [0] * len(uses)
    if schedule.weights is Weights.PREFETCHED:
        before, beside = [words[0], *beside[1:]], [*words[1:], 0]
    for use, loaded, fetched in zip(uses, before, beside, strict=True):
        yield dram.time(use.words, use.waits, loaded, fetched)


def _parts(
    schedule: Schedule, board: Board, wiring: Wiring, memory: MemoryPlan, units: Units, bits: int
) -> tuple[tuple[str, ...], dict[str, Resources]]:
    """What lies in UltraRAM, and the resources of each unit and of what they share."""
    factors = costs().factors
    parts = {
        name: scaled(unit.resources(schedule.lanes, bits), factors.get(schedule.unit(name).kind, {}))
        for name, unit in units.items()
    }
    ports = PORTS + (_spill_ports(memory, wiring) if schedule.spilled else 0)
    shared = shared_resources(schedule.lanes * bits, memory.banks, memory.bank_words, ports)
    parts[SHARED] = scaled(shared, factors.get(SHARED, {}))
    large = _large_memories(units, schedule, memory, schedule.lanes * bits)
    return move_to_uram(parts, large, *(USABLE[n] * getattr(board.resources, n) for n in ("bram18", "uram")))


def evaluate_spilled(graph: TaskGraph, schedule: Schedule, board: Board) -> Iterator[Evaluation]:
    """The schedule as it is; if only memory is short, also with tensors in DRAM between phases: as few as let it fit.

    Banks are as large as the largest tensors in them, so that tensors go to DRAM by size.
    """
    path = _datapath(graph, schedule, board)
    resident = _placed(graph, schedule, board, path)
    yield resident
    if resident.fits or not resident.short_of_memory:
        return
    words = {
        name: words_of(graph, name, schedule.lanes)
        for name in path.wiring.stored
        if name not in graph.outputs
    }
    sizes = sorted({*words.values(), 0}, reverse=True)[1:]
    low, high = 0, len(sizes) - 1
    while low <= high:  # the more tensors are in DRAM, the less memory
        middle = (low + high) // 2
        spilled = tuple(sorted(name for name, count in words.items() if count > sizes[middle]))
        found = _placed(graph, replace(schedule, spilled=spilled), board, path)
        yield found
        low, high = (low, middle - 1) if found.fits else (middle + 1, high)


def _spill_ports(memory: MemoryPlan, wiring: Wiring) -> int:
    """AXI masters for spilled tensors: of each feed that reads some, and of the process that writes them."""
    return len(feeds_of(memory, wiring, (SPILLS,))) + 1


def _large_memories(
    hardware: Mapping[str, Hardware], schedule: Schedule, memory: MemoryPlan, word_bits: int
) -> list[LargeMemory]:
    """Weights and biases of engines, parameters of norms, and the banks of activations, which go to UltraRAM together."""
    factors = costs().factors

    def large(name: str, part: str, kind: str, width: int, depth: int, copies: int) -> LargeMemory:
        blocks = Resources(
            dsp=0, bram18=copies * bram18(width, depth), uram=copies * uram(width, depth), lut=0, ff=0
        )
        blocks = scaled(blocks, factors.get(kind, {}))
        return LargeMemory(name, part, blocks.bram18, blocks.uram)

    of_units = [
        large(memory_name(name, one.role), name, schedule.unit(name).kind, one.bits, one.entries, one.copies)
        for name, unit in hardware.items()
        if isinstance(unit, EngineHardware | NormHardware)
        for one in unit.memories
    ]
    return [*of_units, large(BANKS, SHARED, SHARED, word_bits, memory.bank_words, memory.banks)]


def short_of(need: Resources, board: Board) -> tuple[str, ...]:
    """Resources of which the design needs more than the board can give."""
    return tuple(
        name for name, share in USABLE.items() if getattr(need, name) > share * getattr(board.resources, name)
    )


def exceeded(need: Resources, board: Board) -> tuple[str, ...]:
    """One text for each of them."""
    return tuple(
        f"{name.upper()}: needs {getattr(need, name)}, {board.name} has {getattr(board.resources, name)} "
        f"({USABLE[name]:.0%} usable)"
        for name in short_of(need, board)
    )


def best(candidates: Sequence[Evaluation]) -> Evaluation | None:
    """The fitting candidate of the best rank."""
    return min((candidate for candidate in candidates if candidate.fits), key=lambda e: e.rank, default=None)

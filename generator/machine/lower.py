"""Lowering: from a quantised graph and a schedule to the machine that runs it."""

from __future__ import annotations

from dataclasses import replace

from ..schedule.plan import BANKS, Schedule, Weights, memory_name
from ..task_graph import TaskGraph
from .builder import Builder
from .constants import Constant
from .datapath import Datapath
from .identifiers import identifiers
from .machine import Machine, Stream, TensorPlace
from .memory import BANK_STORES, DRAM, MemoryPlan, dram_uses, feeds_of, plan_memory
from .units.kinds import build_hardware
from .wiring import COLLECT, Wiring, wire


def lower(graph: TaskGraph, schedule: Schedule, name: str) -> Machine:
    """The machine of a schedule.

    Args:
        graph: quantised task graph.
        schedule: which task runs where and when.
        name: of the top function.

    Raises:
        ScheduleError: the schedule asks for something that the datapath cannot do.
    """
    hardware = build_hardware(graph, schedule)
    wiring = wire(graph, schedule)
    memory = plan_memory(graph, schedule, wiring)
    bits = max(tensor.number.bits for tensor in graph.tensors.values())
    builder = Builder(
        graph,
        schedule,
        element_bytes=1 if bits <= 8 else 2,
        ids=identifiers(hardware, own=(*wiring.feeds, COLLECT)),
    )
    path = Datapath(builder, wiring, memory, hardware)
    for index, feed in enumerate(wiring.feeds):
        path.fetch(index, feed)
    for unit in hardware.values():
        path.unit(unit)
    path.collect()
    taps = path.taps()
    first, loaded_words = path.prefetch()
    ports, bindings, binding = _bind(builder, wiring, memory)
    in_uram = {
        f"{builder.ids[unit]}_{role}"
        for unit in hardware
        for role in ("weights", "biases", "gammas", "betas")
        if memory_name(unit, role) in schedule.uram
    }
    return Machine(
        name=name,
        lanes=schedule.lanes,
        element_bytes=builder.element_bytes,
        phase_names=tuple(f"{phase.pattern.value}: {', '.join(phase.tasks)}" for phase in schedule.phases),
        types=(
            Constant.integer("element_t", 8 * builder.element_bytes, "an activation"),
            Constant.alias("word_t", "vec<element_t, kWordLanes>", "what streams and banks carry"),
        ),
        configs=tuple(builder.configs),
        streams=_in_order(builder),
        processes=tuple(builder.processes),
        parameters=tuple(replace(m, uram=m.name in in_uram) for m in builder.parameters),
        bank_words=memory.bank_words,
        banks=memory.banks,
        banks_in_uram=BANKS in schedule.uram,
        streamed=tuple(replace(m, uram=m.name in in_uram) for m in builder.streamed),
        spills=tuple(path.spills),
        spill_words=memory.spill_words,
        dram=dram_uses(memory, wiring),
        memory_ports=ports,
        bindings=bindings,
        binding=binding,
        first=first,
        loaded_words=loaded_words,
        weight_bytes=schedule.weight_bytes or schedule.lanes * builder.element_bytes,
        inputs=_dram("input", graph.inputs, memory),
        outputs=_dram("output", graph.outputs, memory),
        taps=taps,
        weights=bytes(builder.weights),
        batch=schedule.batch,
    )


def _in_order(builder: Builder) -> tuple[Stream, ...]:
    """The streams in the order in which the processes mention them."""
    mentions = [argument for process in builder.processes for argument in process.arguments]
    return tuple(sorted(builder.streams, key=lambda stream: mentions.index(stream.name)))


def _bind(
    builder: Builder, wiring: Wiring, memory: MemoryPlan
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[int, ...]]:
    """The region's parameters that are memories, what is bound to them in the ways that occur, and each phase's way.

    Banks: what each feed reads, then what collect writes; a port that a phase leaves idle gets one of the banks that are
    left. Streamed weights: the memory that is read and the one that is filled take turns.
    """
    ports: list[str] = []
    prefetched = builder.schedule.weights is Weights.PREFETCHED
    feeds = feeds_of(memory, wiring, BANK_STORES) if memory.banks else ()
    if memory.banks:
        ports += [f"const word_t source{index}[kBankWords]" for index in feeds]
        ports += ["word_t target[kBankWords]"]
    for streamed in builder.streamed:
        ports += [f"const {streamed.word} {streamed.name}{streamed.dimensions}"]
        if prefetched:
            ports += [f"{streamed.word} {streamed.name}_next{streamed.dimensions}"]
    ports += [
        f"const {resident.word} {resident.name}{resident.dimensions}" for resident in builder.parameters
    ]
    bindings: list[tuple[str, ...]] = []
    chosen: list[int] = []
    for phase, (fed, stored) in enumerate(zip(wiring.fed, wiring.stored, strict=True)):
        touched = [*(fed[index] for index in feeds), stored] if memory.banks else []
        banks = [memory.places[name].store if name in memory.places else DRAM for name in touched]
        free = [bank for bank in range(memory.banks) if bank not in banks]
        bound = [f"bank{bank if bank in BANK_STORES else free.pop(0)}" for bank in banks]
        for streamed in builder.streamed:
            both = [f"{streamed.name}{phase % 2}", f"{streamed.name}{(phase + 1) % 2}"]
            bound += both if prefetched else [streamed.name]
        bound += [resident.name for resident in builder.parameters]
        if tuple(bound) not in bindings:
            bindings.append(tuple(bound))
        chosen.append(bindings.index(tuple(bound)))
    return tuple(ports), tuple(bindings), tuple(chosen)


def _dram(argument: str, names: tuple[str, ...], memory: MemoryPlan) -> tuple[TensorPlace, ...]:
    places = [(name, memory.places[name]) for name in names]
    return tuple(TensorPlace(name, argument, place.offset, place.words) for name, place in places)

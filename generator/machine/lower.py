"""Lowering: from a quantised graph and a schedule to the machine that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from ..schedule.plan import Schedule
from ..task_graph import TaskGraph
from .builder import CHAIN_DEPTH, Builder
from .hardware import Hardware, words_of
from .identifiers import camel_case, identifiers
from .machine import Config, Constant, Machine, Stream, TensorPlace
from .memory import DRAM, MemoryPlan, bank_feeds, plan_memory
from .rows import SwitchRow, TransferRow
from .unit_kinds import build_hardware
from .wiring import COLLECT, Edge, Wiring, wire


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
    path = _Datapath(builder, wiring, memory, hardware)
    for index, feed in enumerate(wiring.feeds):
        path.fetch(index, feed)
    for unit in hardware.values():
        path.unit(unit)
    path.collect()
    taps = path.taps()
    ports, orders, order = _bind_banks(graph, wiring, memory)
    return Machine(
        name=name,
        lanes=schedule.lanes,
        element_bytes=builder.element_bytes,
        phase_names=tuple(f"{phase.pattern.value}: {', '.join(phase.tasks)}" for phase in schedule.phases),
        types=(
            Constant("element_t", f"integer<{8 * builder.element_bytes}>", "an activation", is_type=True),
            Constant("word_t", "vec<element_t, kWordLanes>", "what streams and banks carry", is_type=True),
        ),
        configs=tuple(builder.configs),
        streams=_in_order(builder),
        processes=tuple(builder.processes),
        parameters=tuple(builder.parameters),
        bank_words=memory.bank_words,
        bank_ports=ports,
        bank_orders=orders,
        bank_order=order,
        inputs=_dram("input", graph.inputs, memory),
        outputs=_dram("output", graph.outputs, memory),
        taps=taps,
        weights=bytes(builder.weights),
    )


@dataclass
class _Datapath:
    """Adds what lies between the units: fetch, collect, switches and taps."""

    builder: Builder
    wiring: Wiring
    memory: MemoryPlan
    hardware: dict[str, Hardware]

    def __post_init__(self) -> None:
        graph = self.builder.graph
        self.tapped = [
            name
            for name, hardware in self.hardware.items()
            if any(graph.task(task).output not in graph.outputs for task in hardware.tasks)
        ]

    def fetch(self, index: int, feed: str) -> None:
        """The process that reads the phase's tensor number `index` from memory."""
        tensors = [fed[index] for fed in self.wiring.fed]
        places = [self.memory.places.get(name) for name in tensors]
        struct = camel_case(feed)
        rows = [TransferRow(int(p.store != DRAM), p.offset, p.words) if p else TransferRow() for p in places]
        self.builder.config(struct, "reads from memory", rows, lambda phase: tensors[phase] or "idle")
        sources = ["input"] if any(place and place.store == DRAM for place in places) else []
        sources += [f"source{index}"] if any(place and place.store != DRAM for place in places) else []
        out = self.builder.stream(self._output_name(feed), "what the phase reads from memory")
        self.builder.process("fetch", struct, *sources, out)
        self._route(feed, out)

    def unit(self, hardware: Hardware) -> None:
        """A unit, with the switches around it and its tap."""
        name = hardware.name
        graph = self.builder.graph
        ports = max(len(graph.task(task).inputs) for task in hardware.tasks)
        inputs = tuple(self._select(name, port) for port in range(ports))
        out = self.builder.stream(self._output_name(name), f"results of {name}")
        hardware.place(self.builder, inputs, out)
        self._route(name, self._tee(hardware, out))

    def collect(self) -> None:
        """The process that writes the phase's result to memory."""
        places = [self.memory.places[name] for name in self.wiring.stored]
        rows = [TransferRow(int(place.store != DRAM), place.offset, place.words) for place in places]
        source = self._select(COLLECT)
        self.builder.config(
            "Collect", "stores the phase's result", rows, lambda phase: self.wiring.stored[phase]
        )
        targets = ["output"] if any(place.store == DRAM for place in places) else []
        targets += ["target"] if any(place.store != DRAM for place in places) else []
        self.builder.process("collect", "Collect", source, *targets)

    def taps(self) -> tuple[TensorPlace, ...]:
        """The process that writes tapped results to DRAM; where each tensor lies there."""
        builder = self.builder
        places: list[TensorPlace] = []
        offset = 0
        by_task: dict[str, TransferRow] = {}
        for number, name in enumerate(self.tapped, start=1):
            for task in map(builder.graph.task, self.hardware[name].tasks):
                if task.output not in builder.graph.outputs:
                    words = words_of(builder.graph, task.output, builder.schedule.lanes)
                    places.append(TensorPlace(task.output, "taps", offset, words, number))
                    by_task[task.name] = TransferRow(0, offset, words)
                    offset += words
        if not self.tapped:
            return ()
        rows = tuple(
            tuple(
                next(
                    (by_task.get(a.task, TransferRow()) for a in phase.assignments if a.unit == unit),
                    TransferRow(),
                )
                for unit in self.tapped
            )
            for phase in builder.schedule.phases
        )
        comments = tuple(", ".join(phase.tasks) for phase in builder.schedule.phases)
        builder.configs.append(
            Config("Taps", "where results go in the tap buffer", (), rows, comments, by_unit=True)
        )
        builder.process(
            "write_taps", "Taps", "tap", "taps", *(f"{builder.ids[name]}_tapped" for name in self.tapped)
        )
        return tuple(places)

    def _tee(self, hardware: Hardware, result: str) -> str:
        """Lets the unit's results be tapped; nothing where all of them are outputs of the model anyway."""
        name = hardware.name
        if name not in self.tapped:
            return result
        unit = self.builder.ids[name]
        struct = f"{camel_case(unit)}Tee"
        number = self.tapped.index(name) + 1
        self.builder.config(
            struct,
            f"copies results of {name} to the taps",
            [self._tee_row(task) for task in self.builder.task_in_phase(hardware.tasks)],
            self.builder.task_comment(hardware.tasks),
            (Constant("kTap", str(number), "the value of `tap` that asks for them"),),
        )
        out = self.builder.stream(f"{unit}_result", "the same, past the tap")
        tapped = self.builder.stream(f"{unit}_tapped", f"tap {number}")
        self.builder.process("tee", struct, "tap", result, out, tapped)
        return out

    def _tee_row(self, name: str) -> SwitchRow:
        if not name:
            return SwitchRow()
        graph = self.builder.graph
        output = graph.task(name).output
        return SwitchRow(
            words_of(graph, output, self.builder.schedule.lanes), int(output not in graph.outputs)
        )

    def _select(self, target: str, port: int = 0) -> str:
        """The stream that enters a port: of the one edge that leads there, or chosen by phase."""
        edges = self.wiring.into(target, port)
        if len(edges) == 1:
            return self._edge_stream(edges[0])
        suffix = ("", "_second")[port]
        into = f"{self.builder.ids[target]}_in{suffix}"
        self.builder.stream(into, f"what {target} works on in this phase", depth=CHAIN_DEPTH)
        rows = [
            next((SwitchRow(flow[edge], way) for way, edge in enumerate(edges) if edge in flow), SwitchRow())
            for flow in self.wiring.words
        ]
        struct = f"{camel_case(into)}Select"
        self.builder.config(
            struct,
            f"input of {target}: {', '.join(edge.source for edge in edges)}",
            rows,
            lambda phase: edges[rows[phase].way].source if rows[phase].words else "idle",
        )
        self.builder.process("select", struct, into, *(self._edge_stream(edge) for edge in edges))
        return into

    def _route(self, source: str, stream: str) -> None:
        """Sends `stream` along all edges that leave `source`; a single one takes it as it is."""
        edges = self.wiring.out_of(source)
        if len(edges) == 1:
            return
        rows = [
            SwitchRow(
                max((flow[edge] for edge in edges if edge in flow), default=0),
                sum(1 << way for way, edge in enumerate(edges) if edge in flow),
            )
            for flow in self.wiring.words
        ]

        def comment(phase: int) -> str:
            return " and ".join(edge.target for edge in edges if edge in self.wiring.words[phase]) or "idle"

        struct = f"{camel_case(self.builder.ids[source])}Route"
        self.builder.config(
            struct, f"output of {source}: {', '.join(e.target for e in edges)}", rows, comment
        )
        outs = [
            self.builder.stream(self._edge_stream(edge), f"{edge.source} to {edge.target}") for edge in edges
        ]
        self.builder.process("route", struct, stream, *outs)

    def _edge_stream(self, edge: Edge) -> str:
        source = self.builder.ids[edge.source]
        if len(self.wiring.out_of(edge.source)) > 1:
            return f"{source}_to_{self.builder.ids[edge.target]}" + ("_second" if edge.port else "")
        return self._output_name(edge.source, past_tap=True)

    def _output_name(self, source: str, *, past_tap: bool = False) -> str:
        """Name of the stream that leaves a feed, or a unit before or past its tap."""
        name = self.builder.ids[source]
        if source in self.wiring.feeds:
            return f"{name}_words"
        return f"{name}_out" if source in self.tapped and not past_tap else f"{name}_result"


def _in_order(builder: Builder) -> tuple[Stream, ...]:
    """The streams in the order in which the processes mention them."""
    mentions = [argument for process in builder.processes for argument in process.arguments]
    return tuple(sorted(builder.streams, key=lambda stream: mentions.index(stream.name)))


def _bind_banks(
    graph: TaskGraph, wiring: Wiring, memory: MemoryPlan
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Ports of the region that are banks, the orders in which banks are bound to them, and each phase's order.

    A port that a phase leaves idle gets one of the banks that are left.
    """
    if memory.banks == 0:
        return (), (), ()
    feeds = bank_feeds(graph, wiring)
    ports = (*(f"source{index}" for index in feeds), "target")
    orders: list[tuple[int, ...]] = []
    chosen: list[int] = []
    for fed, stored in zip(wiring.fed, wiring.stored, strict=True):
        touched = [*(fed[index] for index in feeds), stored]
        banks = [memory.places[name].store if name in memory.places else DRAM for name in touched]
        free = [bank for bank in range(memory.banks) if bank not in banks]
        order = tuple(bank if bank != DRAM else free.pop(0) for bank in banks)
        if order not in orders:
            orders.append(order)
        chosen.append(orders.index(order))
    return ports, tuple(orders), tuple(chosen)


def _dram(argument: str, names: tuple[str, ...], memory: MemoryPlan) -> tuple[TensorPlace, ...]:
    places = [(name, memory.places[name]) for name in names]
    return tuple(TensorPlace(name, argument, place.offset, place.words) for name, place in places)

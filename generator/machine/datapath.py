"""What lies between the units of a machine: fetch, collect, switches, taps and prefetch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..nest import Nest
from ..schedule.plan import Weights
from ..work import MoveWork
from .builder import CHAIN_DEPTH, Builder
from .constants import LANES, Constant
from .hardware import Hardware, words_of
from .identifiers import camel_case
from .machine import Config, TensorPlace
from .memory import BANK_STORES, DRAM, SPILLS, MemoryPlan, Place
from .rows import MergeRow, PrefetchRow, Row, SwitchRow, TapRow, TransferRow, ViewRow
from .units.nest_rows import IDLE, nest_rows
from .units.transpose_plan import view_nest
from .wiring import COLLECT, Edge, Wiring, share_range, share_traffic

FIRST_SAMPLE = "/*sample=*/0"
"""Where a launch takes one sample."""

FIRST_BANK = 0
"""Stands for all banks, which a process reaches by one argument."""


@dataclass
class Datapath:
    """Adds what lies between the units to a builder, process by process; local to one call of `lower`.

    Attributes:
        builder: takes the processes.
        wiring: which streams lead where in each phase.
        memory: where tensors lie between phases.
        hardware: the units by name, in datapath order.
        spills: arguments by which processes reach spilled tensors, so far.
    """

    builder: Builder
    wiring: Wiring
    memory: MemoryPlan
    hardware: dict[str, Hardware]
    spills: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph, schedule = self.builder.graph, self.builder.schedule
        # By phase: its tasks whose results are seen only by a tap, which are numbered from 1.
        self.tappable = [
            [task for task in phase.tasks if graph.task(task).output not in graph.outputs]
            for phase in schedule.phases
        ]
        self.tapped = [
            name
            for name, hardware in self.hardware.items()
            if any(run.task.name in self.tappable[run.phase] for run in hardware.runs)
        ]

    @property
    def _sample(self) -> str:
        """What tells a process that reaches memory which sample of the launch it works on."""
        return "sample" if self.builder.schedule.batch > 1 else FIRST_SAMPLE

    def fetch(self, index: int, feed: str) -> None:
        """The process that reads the phase's tensor number `index` from memory."""
        reads = [read[index] for read in self.wiring.reads]
        places = [self.memory.places.get(read.tensor) for read in reads]
        struct = camel_case(feed)
        memories = self._memories(
            [place for place in places if place], f"source{index}", "input", f"spills{index}"
        )
        transfers = [
            TransferRow(memories[_kind(p.store)][0], p.offset, p.words, p.words, step=p.step)
            if p
            else TransferRow()
            for p in places
        ]
        views = [self._view(read.view) for read in reads]
        rows: list[Row] = list(transfers)
        steps: tuple[int, ...] = ()
        if any(views):
            nests, steps = nest_rows([view or IDLE for view in views])
            rows = [
                ViewRow(transfer, view.steps if view else 0, nest)
                for transfer, view, nest in zip(transfers, views, nests, strict=True)
            ]
        constants = [LANES] if any(views) else []

        def comment(phase: int) -> str:
            read = reads[phase]
            return f"{read.tensor} for {read.view}" if read.view else read.tensor or "idle"

        self.builder.config(struct, "reads from memory", rows, comment, constants, steps)
        out = self.builder.stream(self._output_name(feed), "what the phase reads from memory")
        sources = (argument for _, argument in memories.values())
        self.builder.process("fetch_view" if any(views) else "fetch", struct, self._sample, out, *sources)
        self._route(feed, out)

    def _memories(
        self, places: Sequence[Place], bank: str, dram: str, spills: str
    ) -> dict[int, tuple[int, str]]:
        """By kind of store: number and name of the argument by which a process reaches it, of those that it needs."""
        names = {DRAM: dram, FIRST_BANK: bank, SPILLS: spills}
        found = {_kind(place.store) for place in places}
        used = [kind for kind in names if kind in found]
        self.spills += [spills] if SPILLS in found else []
        return {kind: (number, names[kind]) for number, kind in enumerate(used)}

    def _view(self, task: str) -> Nest | None:
        """How a task walks over what a feed reads; None if there is none."""
        if not task:
            return None
        graph = self.builder.graph
        work = graph.task(task).operator.work(graph.task(task), graph)
        assert isinstance(work, MoveWork)
        return view_nest(work, self.builder.schedule.lanes)

    def unit(self, hardware: Hardware) -> None:
        """A unit, with the switches around it and its tap."""
        name = hardware.name
        ports = max(len(run.task.inputs) for run in hardware.runs)
        inputs = tuple(self._merge(name, port) for port in range(ports))
        out = self.builder.stream(self._output_name(name), f"results of {name}")
        hardware.place(self.builder, inputs, out)
        self._route(name, self._tee(hardware, out))

    def collect(self) -> None:
        """The process that writes the phase's result to memory."""
        places = [self.memory.places[name] for name in self.wiring.stored]
        memories = self._memories(places, "target", "output", "spills_out")
        rows = []
        for phase, (name, place) in enumerate(zip(self.wiring.stored, places, strict=True)):
            offset, words, run, stride = self._made(phase, name)
            memory = memories[_kind(place.store)][0]
            rows.append(TransferRow(memory, place.offset + offset, words, run, stride, place.step))
        source = self._merge(COLLECT)
        self.builder.config(
            "Collect", "stores the phase's result", rows, lambda phase: self.wiring.stored[phase]
        )
        arguments = (argument for _, argument in memories.values())
        self.builder.process("collect", "Collect", self._sample, source, "finished", *arguments)

    def taps(self) -> tuple[TensorPlace, ...]:
        """The process that writes tapped results to DRAM; where each tensor lies there."""
        builder = self.builder
        graph, lanes = builder.graph, builder.schedule.lanes
        idle = TapRow(0, 1, 1, MergeRow(0, (0,) * len(self.tapped)))
        offsets: dict[str, int] = {}
        places: list[TensorPlace] = []
        rows: list[tuple[Row, ...]] = []
        offset = 0
        most = max(map(len, self.tappable))
        for index, (phase, tasks) in enumerate(zip(builder.schedule.phases, self.tappable, strict=True)):
            row: list[Row] = [idle]
            for number, task in enumerate(tasks, start=1):
                output = graph.task(task).output
                if output not in offsets:
                    words = words_of(graph, output, lanes)
                    offsets[output] = offset
                    places.append(TensorPlace(output, "taps", offset, words, number))
                    offset += words
                runs = {share.unit: share_traffic(graph, share, lanes).run for share in phase.shares(task)}
                first, words, run, stride = self._made(index, output)
                turns = MergeRow(words, tuple(runs.get(unit, 0) for unit in self.tapped))
                row.append(TapRow(offsets[output] + first, run, stride, turns))
            rows.append((*row, *[idle] * (most - len(tasks))))
        if not self.tapped:
            return ()
        comments = tuple(", ".join(phase.tasks) for phase in builder.schedule.phases)
        purpose = f"where tapped results go; runs of {', '.join(self.tapped)}"
        builder.configs.append(Config("Taps", purpose, (), tuple(rows), comments, by_tap=True))
        streams = (f"{builder.ids[name]}_tapped" for name in self.tapped)
        builder.process("write_taps", "Taps", "tap", "taps", *streams)
        return tuple(places)

    def prefetch(self) -> tuple[PrefetchRow | None, tuple[int, ...]]:
        """How weights come from DRAM: by a process that fetches those of the next phase, or before each phase.

        Returns:
            What that process needs to be fetched before the first phase, or None, and the DRAM words that are loaded
            before each phase.
        """
        rows, words = self.builder.finish_streams()
        if not rows:
            return None, ()
        streamed = self.builder.streamed
        constant = Constant("kBytes", str(streamed[0].element_bytes), "of a weight in DRAM")
        if self.builder.schedule.weights is Weights.LOADED:
            self.builder.config(
                "Loads",
                "weights of the phase",
                rows,
                lambda phase: ", ".join(self.builder.schedule.phases[phase].tasks),
                (constant,),
            )
            return None, tuple(words)
        following = [*rows[1:], PrefetchRow(0, (0,) * len(streamed))]
        names = self.builder.schedule.phases

        def comment(phase: int) -> str:
            return f"for {', '.join(names[phase + 1].tasks)}" if phase + 1 < len(names) else "idle"

        self.builder.config("Prefetch", "weights of the next phase", following, comment, (constant,))
        filled = (f"{memory.name}_next" for memory in streamed)
        self.builder.process("prefetch", "Prefetch", self._sample, "weights", *filled)
        return rows[0], (words[0], *[0] * (len(words) - 1))

    def _made(self, phase: int, tensor: str) -> tuple[int, int, int, int]:
        """Offset, words, run and stride of the part of a tensor that a phase makes; one piece where it is in order."""
        graph, schedule = self.builder.graph, self.builder.schedule
        pixels = graph.tensors[tensor].pixels
        whole = words_of(graph, tensor, schedule.lanes) // pixels
        first, end = share_range(graph, schedule.phases[phase], tensor, schedule.lanes)
        words = (end - first) * pixels
        contiguous = pixels == 1 or end - first == whole
        return first, words, words if contiguous else end - first, whole

    def _tee(self, hardware: Hardware, result: str) -> str:
        """Lets the unit's results be tapped; nothing where all of them are outputs of the model anyway."""
        name = hardware.name
        if name not in self.tapped:
            return result
        unit = self.builder.ids[name]
        struct = f"{camel_case(unit)}Tee"
        self.builder.config(
            struct,
            f"lets results of {name} be tapped",
            [self._tee_row(name, phase) for phase in range(len(self.tappable))],
            self.builder.comment(hardware.runs),
        )
        out = self.builder.stream(f"{unit}_result", "the same, past the tap")
        tapped = self.builder.stream(f"{unit}_tapped", "copies for the taps")
        self.builder.process("tee", struct, "tap", result, out, tapped)
        return out

    def _tee_row(self, unit: str, phase: int) -> SwitchRow:
        schedule = self.builder.schedule
        for assignment in schedule.phases[phase].assignments:
            if assignment.unit == unit:
                words = share_traffic(self.builder.graph, assignment, schedule.lanes).words
                tasks = self.tappable[phase]
                number = tasks.index(assignment.task) + 1 if assignment.task in tasks else 0
                return SwitchRow(words, number)
        return SwitchRow()

    def _merge(self, target: str, port: int = 0) -> str:
        """The stream that enters a port: of the one edge that leads there, or of those that are active in a phase."""
        edges = self.wiring.into(target, port)
        if len(edges) == 1:
            return self._edge_stream(edges[0])
        into = f"{self.builder.ids[target]}_in{port or ''}"
        self.builder.stream(into, f"what {target} works on in this phase", depth=CHAIN_DEPTH)
        rows = []
        for traffic in self.wiring.traffic:
            active = {edge: traffic[edge] for edge in edges if edge in traffic}
            runs = tuple(active[edge].run if edge in active else 0 for edge in edges)
            rows.append(MergeRow(sum(flow.words for flow in active.values()), runs))

        def comment(phase: int) -> str:
            return " and ".join(edge.source for edge in edges if edge in self.wiring.traffic[phase]) or "idle"

        struct = f"{camel_case(into)}Merge"
        self.builder.config(
            struct, f"input of {target}: {', '.join(edge.source for edge in edges)}", rows, comment
        )
        self.builder.process("merge", struct, into, *(self._edge_stream(edge) for edge in edges))
        return into

    def _route(self, source: str, stream: str) -> None:
        """Sends `stream` along all edges that leave `source`; a single one takes it as it is."""
        edges = self.wiring.out_of(source)
        if len(edges) == 1:
            return
        rows = [
            SwitchRow(
                max((traffic[edge].words for edge in edges if edge in traffic), default=0),
                sum(1 << way for way, edge in enumerate(edges) if edge in traffic),
            )
            for traffic in self.wiring.traffic
        ]

        def comment(phase: int) -> str:
            return " and ".join(edge.target for edge in edges if edge in self.wiring.traffic[phase]) or "idle"

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
            return f"{source}_to_{self.builder.ids[edge.target]}" + (f"_in{edge.port}" if edge.port else "")
        return self._output_name(edge.source, past_tap=True)

    def _output_name(self, source: str, *, past_tap: bool = False) -> str:
        """Name of the stream that leaves a feed, or a unit before or past its tap."""
        name = self.builder.ids[source]
        if source in self.wiring.feeds:
            return f"{name}_words"
        return f"{name}_out" if source in self.tapped and not past_tap else f"{name}_result"


def _kind(store: int) -> int:
    return FIRST_BANK if store in BANK_STORES else store

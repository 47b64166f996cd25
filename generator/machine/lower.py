"""Lowering: from a quantised graph and a schedule to the machine that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..fixed_point import Integers
from ..schedule.plan import Schedule
from ..task_graph import TaskGraph
from .identifiers import camel_case, identifiers
from .machine import Config, Constant, Machine, OnChip, Process, Stream, TensorPlace
from .memory import MemoryPlan, Store, plan_memory
from .pack import to_bytes
from .rows import MacRow, PoolRow, PostRow, Row, SwitchRow, TransferRow, WindowRow
from .units import MacHardware, PoolHardware, UnitHardware, WindowHardware, build_unit, output_words
from .window import Way
from .wiring import COLLECT, FETCH, Edge, Wiring, wire, words_of

LINK_DEPTH = 16
"""Words between units: absorbs the bursts of a window that sends a patch at once."""

CHAIN_DEPTH = 2
"""Words between the processes of one unit, which keep step."""


def lower(graph: TaskGraph, schedule: Schedule, name: str) -> Machine:
    """The machine of a schedule.

    Raises:
        ScheduleError: the schedule asks for something that the datapath cannot do.
    """
    return _Lowering(graph, schedule, name).machine()


@dataclass
class _Lowering:
    """Builds the processes in datapath order; local to one call of `lower`."""

    graph: TaskGraph
    schedule: Schedule
    name: str
    configs: list[Config] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    parameters: list[OnChip] = field(default_factory=list)
    weights: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.wiring: Wiring = wire(self.graph, self.schedule)
        self.memory: MemoryPlan = plan_memory(self.graph, self.schedule)
        self.lanes = self.schedule.lanes
        self.hardware: dict[str, UnitHardware] = {
            unit.name: build_unit(self.graph, self.schedule, unit.name) for unit in self.schedule.units
        }
        self.tapped = [
            name
            for name, hardware in self.hardware.items()
            if any(self.graph.task(task).output not in self.graph.outputs for task in hardware.tasks)
        ]
        self.ids: Mapping[str, str] = identifiers([FETCH, COLLECT, *self.hardware])
        self.bits = max(tensor.number.bits for tensor in self.graph.tensors.values())
        self.element_bytes = 1 if self.bits <= 8 else 2

    def machine(self) -> Machine:
        self._fetch()
        for name, hardware in self.hardware.items():
            source = self._select(name)
            if isinstance(hardware, MacHardware):
                result = self._mac(hardware, source)
            else:
                result = self._pool(hardware, source)
            self._route(name, self._tee(name, result))
        self._collect()
        taps = self._taps()
        places = self.memory.places
        return Machine(
            name=self.name,
            lanes=self.lanes,
            element_bytes=self.element_bytes,
            phase_names=tuple(
                f"{phase.pattern.value}: {', '.join(phase.tasks)}" for phase in self.schedule.phases
            ),
            types=(
                Constant("element_t", f"integer<{8 * self.element_bytes}>", "an activation", is_type=True),
                Constant("word_t", "vec<element_t, kWordLanes>", "what streams and banks carry", is_type=True),
            ),
            configs=tuple(self.configs),
            streams=tuple(self.streams),
            processes=tuple(self.processes),
            parameters=tuple(self.parameters),
            bank_words=self.memory.bank_words,
            reads_bank=tuple(_bank(places[name].store) for name in self.wiring.fed),
            writes_bank=tuple(_bank(places[name].store) for name in self.wiring.stored),
            inputs=self._dram("input", self.graph.inputs),
            outputs=self._dram("output", self.graph.outputs),
            taps=taps,
            weights=bytes(self.weights),
        )

    # ---- memory side

    def _fetch(self) -> None:
        from_bank = any(self.memory.places[name].store is not Store.INPUT for name in self.wiring.fed)
        out = self._stream("feed", "word_t", LINK_DEPTH, "what the phase reads from memory")
        self._transfer("Fetch", "reads the phase's input", self.wiring.fed)
        sources = ("input", "source") if from_bank else ("input",)
        self._process("fetch", "Fetch", (*sources, out))
        self._route(FETCH, out)

    def _collect(self) -> None:
        to_bank = any(self.memory.places[name].store is not Store.OUTPUT for name in self.wiring.stored)
        source = self._select(COLLECT)
        self._transfer("Collect", "stores the phase's result", self.wiring.stored)
        targets = ("output", "target") if to_bank else ("output",)
        self._process("collect", "Collect", (source, *targets))

    def _transfer(self, name: str, purpose: str, tensors: tuple[str, ...]) -> None:
        places = [self.memory.places[tensor] for tensor in tensors]
        rows = [TransferRow(int(_bank(place.store) >= 0), place.offset, place.words) for place in places]
        self._config(name, purpose, (), rows, lambda phase: tensors[phase])

    # ---- units

    def _mac(self, hardware: MacHardware, source: str) -> str:
        unit = self.ids[hardware.unit.name]
        struct = camel_case(unit)
        outputs = hardware.unit.outputs
        row = self._by_phase(hardware, hardware.macs, MacRow())
        patches = self._window(hardware, source)
        sums = self._stream(
            f"{unit}_sums", f"vec<{struct}Mac::sum_t, {struct}Mac::kOutputs>", CHAIN_DEPTH, "sums of one fold"
        )
        common = (
            Constant("kOutputs", str(outputs), "output channels per pass"),
            Constant("kLanes", "kWordLanes"),
        )
        sum_type = Constant("sum_t", f"integer<{hardware.sum_bits}>", "never wraps: range analysis", is_type=True)
        self._config(
            f"{struct}Mac",
            f"{outputs} x {self.lanes} multipliers",
            (
                *common,
                Constant("kPatchWords", str(hardware.patch_words), "longest patch"),
                Constant("kWeightEntries", str(sum(map(len, hardware.weights)))),
                Constant("input_t", "element_t", is_type=True),
                Constant("weight_t", f"integer<{hardware.weight_bits}>", is_type=True),
                sum_type,
            ),
            row,
            self._task_comment(hardware),
        )
        self._config(
            f"{struct}Post",
            "bias, rounding, clamp",
            (
                *common,
                Constant("kBiasEntries", str(sum(map(len, hardware.biases)))),
                sum_type,
                Constant("output_t", "element_t", is_type=True),
            ),
            self._by_phase(hardware, hardware.posts, PostRow()),
            self._task_comment(hardware),
        )
        weights = self._parameter(
            f"{unit}_weights",
            f"vec<{struct}Mac::weight_t, {struct}Mac::kOutputs * kWordLanes>",
            f"{struct}Mac::kWeightEntries",
            hardware.weights,
            1 if hardware.weight_bits <= 8 else 2,
        )
        biases = self._parameter(
            f"{unit}_biases", f"vec<{struct}Post::sum_t, kWordLanes>", f"{struct}Post::kBiasEntries",
            hardware.biases, 4 if hardware.sum_bits <= 32 else 8
        )
        out = self._result_stream(hardware.unit.name)
        self._process("mac", f"{struct}Mac", (patches, weights, sums))
        self._process("post", f"{struct}Post", (sums, biases, out))
        return out

    def _pool(self, hardware: PoolHardware, source: str) -> str:
        unit = self.ids[hardware.unit.name]
        struct = camel_case(unit)
        patches = self._window(hardware, source)
        out = self._result_stream(hardware.unit.name)
        means = [row.mean for row in hardware.pools]
        self._config(
            f"{struct}Pool",
            "maximum or mean over a window",
            (
                Constant("kLanes", "kWordLanes"),
                Constant("kMean", str(any(means)).lower()),
                Constant("kMax", str(not all(means)).lower()),
                Constant("input_t", "element_t", is_type=True),
                Constant("output_t", "element_t", is_type=True),
                Constant("total_t", f"integer<{hardware.total_bits}>", "never wraps: range analysis", is_type=True),
                Constant("reciprocal_t", f"integer<{hardware.reciprocal_bits}>", is_type=True),
                Constant("product_t", f"integer<{hardware.product_bits}>", is_type=True),
            ),
            self._by_phase(hardware, hardware.pools, PoolRow()),
            self._task_comment(hardware),
        )
        self._process("pool", f"{struct}Pool", (patches, out))
        return out

    def _result_stream(self, name: str) -> str:
        suffix = "out" if name in self.tapped else "result"
        return self._stream(f"{self.ids[name]}_{suffix}", "word_t", LINK_DEPTH, f"results of {name}")

    def _window(self, hardware: UnitHardware, source: str) -> str:
        """The unit's window process; none if all its tasks take their pixels as they come."""
        if hardware.window.ways == (Way.STRAIGHT,):
            return source
        unit = self.ids[hardware.unit.name]
        struct = camel_case(unit)
        patches = self._stream(f"{unit}_patches", "word_t", CHAIN_DEPTH, "windows, word by word")
        rows = self._by_phase(hardware, tuple(plan.row for plan in hardware.patches), WindowRow())
        self._config(
            f"{struct}Window",
            "sliding window",
            _window_constants(hardware.window),
            rows,
            self._task_comment(hardware),
        )
        self._process("window", f"{struct}Window", (source, patches))
        return patches

    # ---- switches and taps

    def _select(self, target: str) -> str:
        """The stream that enters `target`."""
        sources = self.wiring.sources(target)
        if len(sources) == 1:
            return self._edge_stream(Edge(sources[0], target))
        into = f"{self.ids[target]}_in"
        self._stream(into, "word_t", CHAIN_DEPTH, f"what {target} works on in this phase")
        rows = []
        for flow in self.wiring.words:
            active = [(way, flow[Edge(source, target)]) for way, source in enumerate(sources) if Edge(source, target) in flow]
            rows.append(SwitchRow(active[0][1], active[0][0]) if active else SwitchRow())
        struct = f"{camel_case(self.ids[target])}Select"
        self._config(struct, f"input of {target}: {', '.join(sources)}", (), rows, lambda phase: sources[rows[phase].way])
        streams = tuple(self._edge_stream(Edge(source, target)) for source in sources)
        self._process("select", struct, (into, *streams))
        return into

    def _route(self, source: str, stream: str) -> None:
        """Sends `stream` to all targets of `source`; a single target takes it as it is."""
        targets = self.wiring.targets(source)
        if len(targets) == 1:
            return
        rows = []
        for flow in self.wiring.words:
            active = [(1 << way, flow[Edge(source, target)]) for way, target in enumerate(targets) if Edge(source, target) in flow]
            rows.append(SwitchRow(max((words for _, words in active), default=0), sum(bit for bit, _ in active)))
        struct = f"{camel_case(self.ids[source])}Route"
        self._config(
            struct,
            f"output of {source}: {', '.join(targets)}",
            (),
            rows,
            lambda phase: " and ".join(t for way, t in enumerate(targets) if rows[phase].way >> way & 1) or "idle",
        )
        outs = tuple(
            self._stream(self._edge_stream(Edge(source, target)), "word_t", LINK_DEPTH, f"{source} to {target}")
            for target in targets
        )
        self._process("route", struct, (stream, *outs))

    def _edge_stream(self, edge: Edge) -> str:
        source = self.ids[edge.source]
        if len(self.wiring.targets(edge.source)) > 1:
            return f"{source}_to_{self.ids[edge.target]}"
        return "feed" if edge.source == FETCH else f"{source}_result"

    def _tee(self, name: str, result: str) -> str:
        """Lets the unit's results be tapped; nothing where all of them are outputs of the model anyway."""
        if name not in self.tapped:
            return result
        unit = self.ids[name]
        struct = f"{camel_case(unit)}Tee"
        tasks = self.hardware[name].tasks
        rows = [self._tee_row(task) for task in self._task_in_phase(tasks)]
        number = self.tapped.index(name) + 1
        self._config(
            struct,
            f"copies results of {name} to the taps",
            (Constant("kTap", str(number), "the value of `tap` that asks for them"),),
            rows,
            self._task_comment(self.hardware[name]),
        )
        out = self._stream(f"{unit}_result", "word_t", LINK_DEPTH, "the same, past the tap")
        tapped = self._stream(f"{unit}_tapped", "word_t", LINK_DEPTH, f"tap {number}")
        self._process("tee", struct, ("tap", result, out, tapped))
        return out

    def _tee_row(self, name: str) -> SwitchRow:
        if not name:
            return SwitchRow()
        task = self.graph.task(name)
        return SwitchRow(output_words(self.graph, task, self.lanes), int(task.output not in self.graph.outputs))

    def _taps(self) -> tuple[TensorPlace, ...]:
        places = []
        offset = 0
        by_task: dict[str, TransferRow] = {}
        for number, name in enumerate(self.tapped, start=1):
            for task in map(self.graph.task, self.hardware[name].tasks):
                if task.output in self.graph.outputs:
                    continue
                words = output_words(self.graph, task, self.lanes)
                places.append(TensorPlace(task.output, "taps", offset, words, number))
                by_task[task.name] = TransferRow(0, offset, words)
                offset += words
        if not self.tapped:
            return ()
        rows = tuple(
            tuple(
                next((by_task.get(a.task, TransferRow()) for a in phase.assignments if a.unit == unit), TransferRow())
                for unit in self.tapped
            )
            for phase in self.schedule.phases
        )
        self.configs.append(
            Config("Taps", "where results go in the tap buffer", (), rows, self._phase_comments(), by_unit=True)
        )
        tapped = tuple(f"{self.ids[unit]}_tapped" for unit in self.tapped)
        self._process("write_taps", "Taps", ("tap", "taps", *tapped))
        return tuple(places)

    # ---- bookkeeping

    def _stream(self, name: str, word: str, depth: int, carries: str) -> str:
        self.streams.append(Stream(name, word, depth, carries))
        return name

    def _process(self, function: str, config: str, arguments: tuple[str, ...]) -> None:
        self.processes.append(Process(function, config, arguments))

    def _config(
        self,
        name: str,
        purpose: str,
        constants: tuple[Constant, ...],
        rows: list[Row] | tuple[Row, ...] | list[TransferRow] | list[SwitchRow],
        comment: Callable[[int], str],
    ) -> None:
        table = tuple((row,) for row in rows)
        comments = tuple(comment(phase) for phase in range(len(table)))
        self.configs.append(Config(name, purpose, constants, table, comments))

    def _by_phase(self, hardware: UnitHardware, rows: tuple[Row, ...], idle: Row) -> list[Row]:
        of_task = dict(zip(hardware.tasks, rows, strict=True))
        return [of_task[task] if task else idle for task in self._task_in_phase(hardware.tasks)]

    def _task_in_phase(self, tasks: tuple[str, ...]) -> list[str]:
        """For each phase, the one of `tasks` that runs in it, or an empty name."""
        return [next((t for t in phase.tasks if t in tasks), "") for phase in self.schedule.phases]

    def _task_comment(self, hardware: UnitHardware) -> Callable[[int], str]:
        names = self._task_in_phase(hardware.tasks)

        def comment(phase: int) -> str:
            if not names[phase]:
                return "idle"
            task = self.graph.task(names[phase])
            nodes = ", ".join(task.onnx_nodes)
            return f"{task.name}: {nodes}" if nodes and nodes != task.name else task.name

        return comment

    def _phase_comments(self) -> tuple[str, ...]:
        return tuple(", ".join(phase.tasks) for phase in self.schedule.phases)

    def _parameter(self, name: str, word: str, size: str, blocks: tuple[Integers, ...], element_bytes: int) -> str:
        entries = np.concatenate(blocks)
        word_bytes = self.lanes * self.element_bytes
        offset = len(self.weights) // word_bytes
        self.weights += to_bytes(entries, element_bytes, word_bytes)
        comment = f"{len(entries)} entries of {entries.shape[1]}"
        self.parameters.append(OnChip(name, word, len(entries), size, comment, element_bytes, offset))
        return name

    def _dram(self, argument: str, names: tuple[str, ...]) -> tuple[TensorPlace, ...]:
        places = self.memory.places
        return tuple(
            TensorPlace(name, argument, places[name].offset, words_of(self.graph, name, self.lanes)) for name in names
        )


def _bank(store: Store) -> int:
    return {Store.BANK0: 0, Store.BANK1: 1}.get(store, -1)


def _window_constants(window: WindowHardware) -> tuple[Constant, ...]:
    ways = " | ".join({Way.STRAIGHT: "kStraight", Way.ROWS: "kRows", Way.PACKED: "kPacked"}[way] for way in window.ways)
    constants = [
        Constant("kWays", ways),
        Constant("kLanes", "kWordLanes"),
        Constant("input_t", "element_t", is_type=True),
    ]
    if Way.ROWS in window.ways:
        constants += [
            Constant("kLines", str(window.lines), "rows kept"),
            Constant("kLineWords", str(window.line_words), "words of the longest row"),
        ]
    if Way.PACKED in window.ways:
        constants += [
            Constant("kPackedHeight", str(window.packed_kernel[0])),
            Constant("kPackedWidth", str(window.packed_kernel[1])),
            Constant("kPackedChannels", str(window.packed_channels)),
            Constant("kPackedColumns", str(window.packed_columns), "columns of the padded image"),
        ]
    return tuple(constants)

"""An engine: window -> mac -> post, with its weights and biases on chip."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import MacWork
from ..builder import CHAIN_DEPTH, Builder
from ..constants import INPUT, LANES, Constant
from ..hardware import Hardware, UnitMemory, work_of
from ..identifiers import camel_case
from ..pack import pack_weights
from ..resources import add, bram18
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage
from .circulant_form import CirculantRow, choose_form, circulant_row, obstacle, possible_forms
from .circulant_forms import FFT, CirculantForm
from .kind import UnitKind
from .mac_process import MacRow, dense_dsps, mac_stage, mac_steps, products_per_dsp
from .post_process import PostProcess, size_post
from .window import PatchPlan, groups
from .window_process import WindowProcess, size_window


@dataclass(frozen=True, eq=False)
class EngineHardware(Hardware):
    """An engine with the rows of its tasks, in the order of `runs`; `made` are their output channels.

    Weights that several tasks have, as the steps of a recurrence, are `resident` once. With a `form`, all weights are circulant, and the process circulant takes the place of mac.

    Prefetched weights have two `copies` of their memory: one is filled while the other is read. They are packed only when the unit is placed: schedulers build many units to cost them.
    """

    graph: TaskGraph
    made: tuple[slice, ...]
    window: WindowProcess
    macs: tuple[MacRow, ...]
    post: PostProcess
    weight_entries: int
    weight_bits: int
    operand_entries: int
    lanes: int
    copies: int
    resident: bool
    form: CirculantForm | None

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds window, mac and post."""
        name = builder.ids[self.name]
        struct = camel_case(name) + camel_case(self.process.rpartition("_")[2])
        patches = self.window.place(builder, self.name, self.runs, inputs[0])
        sums = builder.stream(
            f"{name}_sums", "sums of one fold", f"vec<{struct}::sum_t, {struct}::kOutputs>", CHAIN_DEPTH
        )
        self._configure(builder, struct)
        operands = [inputs[1]] if self.operand_entries else []
        if not self.weight_entries:
            builder.process("mac", struct, patches, *operands, sums)
            self.post.place(builder, self.name, sums, output)
            return
        word = f"vec<{struct}::weight_t, kWordLanes>"
        rows = f"{struct}::kOutputs" + ("" if self.form is None else f" / {struct}::kBlock")
        entries = f"{struct}::kWeightEntries"
        if builder.schedule.streamed:
            weights = builder.stream_weights(
                f"{name}_weights", word, entries, self.runs, self._weights(), self.weight_bytes, rows
            )
        else:
            weights = builder.parameter(
                f"{name}_weights", word, entries, self._weights(), self.weight_bytes, rows=rows
            )
        builder.process(self.process, struct, patches, *operands, weights, sums)
        self.post.place(builder, self.name, sums, output)

    def _configure(self, builder: Builder, struct: str) -> None:
        form = self.form
        size = f"{self.unit.outputs} x {builder.schedule.lanes}"
        builder.unit_config(
            struct,
            f"{size} multipliers"
            if form is None
            else f"{size} channels, circulant in blocks of {form.block}: {self.multipliers} multipliers",
            self.runs,
            *self._rows(),
            (
                Constant("kOutputs", str(self.unit.outputs), "output channels per pass"),
                LANES,
                Constant(
                    "kPaired", str(self.paired(8 * builder.element_bytes)).lower(), "two products per DSP"
                ),
                Constant("kPatchWords", str(self.patch_words), "longest patch"),
                Constant("kWeightEntries", str(self.weight_entries)),
                Constant(
                    "kOperandEntries", str(self.operand_entries), "for each output, where it is computed"
                ),
                INPUT,
                Constant.integer("weight_t", self.weight_bits),
                Constant.alias("factor_t", self._factor, "what is multiplied with an input"),
                self.post.sum_type,
                *(() if form is None else form.constants(self.unit.outputs)),
            ),
        )

    @property
    def _factor(self) -> str:
        """C++ type that holds weights and, where there are some, computed operands."""
        if not self.operand_entries:
            return "weight_t"
        inputs = (tensor for run in self.runs for tensor in self.graph.input_tensors(run.task))
        return f"integer<{max(self.weight_bits, *(tensor.number.bits for tensor in inputs))}>"

    def _rows(self) -> tuple[Sequence[Row], Row]:
        """The rows of the runs, and that of an idle phase."""
        if self.form is None:
            return self.macs, MacRow()
        block, outputs = self.form.block, self.unit.outputs
        rows = [
            circulant_row(
                row, _work(self.graph, run.task), plan, made.stop - made.start, outputs, self.lanes, block
            )
            for run, row, plan, made in zip(self.runs, self.macs, self.window.patches, self.made, strict=True)
        ]
        return rows, CirculantRow()

    @property
    def process(self) -> str:
        """The kernel of the array."""
        return "mac" if self.form is None else f"circulant_{self.form.name}"

    @property
    def multipliers(self) -> int:
        """Multipliers of the array."""
        if self.form is None:
            return self.unit.outputs * self.lanes
        return self.form.multipliers(self.unit.outputs, self.lanes)

    def _weights(self) -> list[Integers]:
        """Weight entries of each task."""
        blocks: list[Integers] = []
        packed: set[int] = set()  # where blocks begin, in memory
        for run, row, made, plan in zip(self.runs, self.macs, self.made, self.window.patches, strict=True):
            task = run.task
            if row.loads or (self.resident and row.weights in packed):
                blocks.append(np.zeros((0, self.unit.outputs * self.lanes), np.int64))
                continue
            packed.add(row.weights)
            by_position = task.operator.weights_by_position(task, self.graph)[made]
            pack = pack_weights if self.form is None else self.form.pack
            blocks.append(pack(by_position, plan.way, self.lanes, self.unit.outputs))
        return blocks

    @property
    def weight_bytes(self) -> int:
        """Bytes of a weight in weights.bin."""
        return 1 if self.weight_bits <= 8 else 2 if self.weight_bits <= 16 else 4

    def loaded(self, phase: int) -> tuple[int, int]:
        """Entries of the weights of a phase, and bytes of an entry."""
        index = index_of(self.runs, phase)
        if index == len(self.runs) or self.runs[index].phase != phase or self.macs[index].loads:
            return 0, 0
        entries = self.macs[index].folds * self.macs[index].words
        return entries, self.entry_weights * self.weight_bytes

    @property
    def entry_weights(self) -> int:
        """Weights of an entry."""
        return self.unit.outputs * self.lanes // (1 if self.form is None else self.form.block)

    @property
    def patch_words(self) -> int:
        """Longest patch, in words."""
        return max(row.words for row in self.macs)

    def stages(self, phase: int) -> list[Stage]:
        """Window, mac and post."""
        index = index_of(self.runs, phase)
        row = self.macs[index]
        work = _work(self.graph, self.runs[index].task)
        steps = self.form.steps(self.unit.outputs) - 1 if self.form else 0
        return [
            *self.window.stage(index),
            mac_stage(self.process, row, max(work.batches, 1), work.pixels, steps),
            self.post.stage(index, row.folds),
        ]

    def forms(self) -> list[CirculantForm]:
        """Those that give its tasks' integers, its own among them; none if it is dense, or rounds."""
        if self.form is None or self.form.name == FFT:
            return []
        tasks, works, plans = self._layers
        return possible_forms(
            self.graph, tasks, works, plans, self.unit.outputs, self.lanes, self.post.sum_bits
        )

    @property
    def obstacle(self) -> str:
        """Why circulant weights are treated as dense ones here; empty if they need not be."""
        return obstacle(self.graph, *self._layers, self.unit.outputs, self.lanes)

    @property
    def _layers(self) -> tuple[list[Task], list[MacWork], tuple[PatchPlan, ...]]:
        tasks = [run.task for run in self.runs]
        return tasks, [_work(self.graph, task) for task in tasks], tuple(self.window.patches)

    def with_form(self, form: CirculantForm) -> EngineHardware:
        """The same unit with another of its forms."""
        return replace(self, form=form, unit=replace(self.unit, form=form.label))

    def paired(self, element_bits: int) -> bool:
        """True if two products share a DSP (hls_kernels/dot.hpp)."""
        return products_per_dsp(element_bits, self.weight_bits) == 2 and self.unit.outputs % 2 == 0

    @property
    def memories(self) -> tuple[UnitMemory, ...]:
        """Weights, a memory for each row of an entry and each copy, and biases."""
        rows = self.entry_weights // self.lanes
        return (
            UnitMemory("weights", self.lanes * self.weight_bits, self.weight_entries, rows * self.copies),
            UnitMemory("biases", *self.post.bias_memory),
        )

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """A DSP for one or two multipliers; adders, and what packs and parts pairs (25 LUTs), in LUTs."""
        form, outputs = self.form, self.unit.outputs
        kept_bits = lanes * element_bits if form is None else form.operand_bits(lanes)
        dense = dense_dsps(outputs, lanes, element_bits, self.weight_bits)
        pairs = self.multipliers - dense
        weights = self.memories[0]
        own = Resources(
            dsp=dense if form is None else form.dsps(outputs, lanes),
            bram18=weights.copies * bram18(weights.bits, weights.entries)
            + self.unit.outputs * bram18(lanes * element_bits, self.operand_entries)
            + bram18(kept_bits, self.patch_words),
            uram=0,
            lut=self.multipliers * 10 + pairs * 25 if form is None else form.luts(outputs, lanes),
            ff=self.multipliers * 16 if form is None else form.luts(outputs, lanes),
        )
        return add(own, self.post.resources(), self.window.resources(lanes, element_bits))


def build_engine(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> EngineHardware:
    """Sizes an engine for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    streamed = weights is not Weights.RESIDENT
    tasks = [run.task for run in runs]
    works = [_work(graph, task) for task in tasks]
    window = size_window(
        works,
        [graph.input_tensors(task)[0].number.zero for task in tasks],
        lanes,
        [run.pace for run in runs],
    )
    macs: list[MacRow] = []
    made: list[slice] = []
    steps: list[int] = []
    entries = 0
    operand_entries = 0
    places: dict[
        tuple[Hashable, ...], int
    ] = {}  # of weights that several tasks have, as the steps of a recurrence
    for work, plan, run in zip(works, window.patches, runs, strict=True):
        channels = _made(work, run.words, lanes)
        outputs = channels.stop - channels.start
        folds, post_steps = mac_steps(unit.outputs, outputs, lanes)
        own = folds * plan.words
        made.append(channels)
        steps.append(post_steps)
        products = work.pixels * own
        if work.batches:
            loads = work.outputs * plan.words
            macs.append(
                MacRow(
                    products + work.batches * loads,
                    folds,
                    plan.words,
                    0,
                    loads,
                    channels.start * plan.words,
                    outputs,
                    (work.channels - 1) % lanes + 1,
                    work.pixels // work.batches,
                )
            )
            operand_entries = max(operand_entries, own)
        elif streamed:
            macs.append(MacRow(products, folds, plan.words, 0))
            entries = max(entries, own)
        else:
            content = _content(graph, run.task, channels, plan)
            if content not in places:
                places[content] = entries
                entries += own
            macs.append(MacRow(products, folds, plan.words, places[content]))
    post = size_post(graph, runs, made, steps, unit.outputs, lanes)
    form = choose_form(graph, tasks, works, window.patches, unit, lanes, post.sum_bits)
    return EngineHardware(
        graph=graph,
        unit=unit,
        runs=tuple(runs),
        made=tuple(made),
        window=window,
        macs=tuple(macs),
        post=post,
        weight_entries=entries,
        weight_bits=form.stored_bits
        if form
        else max(
            (task.parameters[r].number.bits for task in tasks for r in task.operator.weight_roles), default=8
        ),
        operand_entries=operand_entries,
        lanes=lanes,
        copies=2 if weights is Weights.PREFETCHED else 1,
        resident=not streamed,
        form=form,
    )


def _made(work: MacWork, share: tuple[int, int] | None, lanes: int) -> slice:
    """Output channels that the unit makes."""
    first, end = share or (0, groups(work.outputs, lanes))
    return slice(first * lanes, min(end * lanes, work.outputs))


def _content(graph: TaskGraph, task: Task, made: slice, plan: PatchPlan) -> tuple[Hashable, ...]:
    """Equal for tasks whose weights are the same, in the same order."""
    digests = tuple(task.parameters[role].digest for role in task.operator.weight_roles)
    source = graph.input_tensors(task)[0]
    order = type(task.operator), source.shape, source.channel_axis, plan.way, plan.words
    return *digests, *order, made.start, made.stop


def _work(graph: TaskGraph, task: Task) -> MacWork:
    return work_of(graph, task, MacWork, "an engine")


ENGINE = UnitKind("engine", MacWork, build_engine)

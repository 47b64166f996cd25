"""The depthwise unit: window -> depthwise -> post. One multiplier per lane, which no phase shares out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import DepthwiseWork
from ..builder import CHAIN_DEPTH, Builder
from ..constants import INPUT, LANES, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..pack import pack_weights
from ..resources import add, bram18
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage, Steps
from .kind import UnitKind
from .post_process import PostProcess, size_post
from .window import Way, groups
from .window_process import WindowProcess, size_window


@dataclass(frozen=True)
class DepthwiseRow(Row):
    """depthwise.hpp: every channel with a kernel of its own."""

    struct: ClassVar[str] = "depthwise_row"
    header: ClassVar[str] = "depthwise.hpp"

    iterations: int = 0
    words: int = 0
    steps: int = 0
    weights: int = 0


@dataclass(frozen=True, eq=False)
class DepthwiseHardware(Hardware):
    """A depthwise unit with the rows of its tasks, in the order of `runs`.

    Weights are packed only when the unit is placed: schedulers build many units to cost them.
    """

    graph: TaskGraph
    window: WindowProcess
    rows: tuple[DepthwiseRow, ...]
    post: PostProcess
    weight_entries: int
    weight_bits: int
    lanes: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds window, depthwise and post."""
        name = builder.ids[self.name]
        struct = f"{camel_case(name)}Depthwise"
        patches = self.window.place(builder, self.name, self.runs, inputs[0])
        sums = builder.stream(
            f"{name}_sums", "sums of a word of channels", f"vec<{struct}::sum_t, kWordLanes>", CHAIN_DEPTH
        )
        builder.unit_config(
            struct,
            f"{self.lanes} multipliers, one for each lane",
            self.runs,
            self.rows,
            DepthwiseRow(),
            (
                LANES,
                Constant("kPositions", "1", "of the kernel, at once"),
                Constant("kWeightEntries", str(self.weight_entries)),
                INPUT,
                Constant.integer("weight_t", self.weight_bits),
                self.post.sum_type,
            ),
        )
        weights = builder.parameter(
            f"{name}_weights",
            f"vec<{struct}::weight_t, {struct}::kPositions * kWordLanes>",
            f"{struct}::kWeightEntries",
            self._weights(),
            1 if self.weight_bits <= 8 else 2,
        )
        builder.process("depthwise", struct, patches, weights, sums)
        self.post.place(builder, self.name, sums, output)

    def stages(self, phase: int) -> list[Stage]:
        """Window, depthwise and post."""
        index = index_of(self.runs, phase)
        row = self.rows[index]
        return [
            *self.window.stage(index),
            Stage(
                "depthwise",
                row.iterations,
                (Steps.even(row.iterations),),
                Steps.even(row.iterations // row.steps, row.steps, row.steps),
            ),
            self.post.stage(index, self.post.rows[index].steps),
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """One DSP per multiplier; adders in LUTs."""
        own = Resources(
            dsp=lanes,
            bram18=bram18(lanes * self.weight_bits, self.weight_entries),
            uram=0,
            lut=lanes * 10,
            ff=lanes * (16 + 3 * self.post.sum_bits),
        )
        return add(own, self.post.resources(), self.window.resources(lanes, element_bits))

    def _weights(self) -> list[Integers]:
        """Weight entries of each task, in the order of the window's words."""
        tasks = [run.task for run in self.runs]
        return [
            pack_weights(task.operator.weights_by_position(task, self.graph), Way.ROWS, self.lanes, 1)
            for task in tasks
        ]


def build_depthwise(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> DepthwiseHardware:
    """Sizes a depthwise unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    tasks = [run.task for run in runs]
    works = [_work(graph, task) for task in tasks]
    words = [groups(work.channels, lanes) for work in works]
    rows: list[DepthwiseRow] = []
    entries = 0
    for work, count in zip(works, words, strict=True):
        steps = work.window.positions
        rows.append(DepthwiseRow(work.pixels * count * steps, count, steps, entries))
        entries += count * steps
    return DepthwiseHardware(
        graph=graph,
        unit=unit,
        runs=tuple(runs),
        window=size_window(
            works,
            [graph.input_tensors(task)[0].number.zero for task in tasks],
            lanes,
            [run.pace for run in runs],
        ),
        rows=tuple(rows),
        post=size_post(graph, runs, [slice(0, work.channels) for work in works], words, lanes, lanes),
        weight_entries=entries,
        weight_bits=max(task.parameters["weight"].number.bits for task in tasks),
        lanes=lanes,
    )


def _work(graph: TaskGraph, task: Task) -> DepthwiseWork:
    return work_of(graph, task, DepthwiseWork, "a depthwise unit")


DEPTHWISE = UnitKind("depthwise", DepthwiseWork, build_depthwise)

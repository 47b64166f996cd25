"""The stencil unit: row window -> stencil -> post. Multipliers for all kernel positions of a word of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import StencilWork
from ..builder import CHAIN_DEPTH, Builder
from ..constants import Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add, bram18, dsp_of_product
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage
from .kind import UnitKind
from .post_process import PostProcess, size_post
from .row_window import RowWindow, size_row_window


@dataclass(frozen=True)
class StencilRow(Row):
    """stencil.hpp: words of results, and whose weights."""

    struct: ClassVar[str] = "stencil_row"
    header: ClassVar[str] = "stencil.hpp"

    iterations: int = 0
    weights: int = 0


@dataclass(frozen=True, eq=False)
class StencilHardware(Hardware):
    """A stencil unit with the rows of its tasks, in the order of `runs`."""

    window: RowWindow
    post: PostProcess
    weight_bits: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds row window, stencil and post."""
        name = builder.ids[self.name]
        struct = f"{camel_case(name)}Stencil"
        patches = self.window.place(builder, self.name, self.runs, inputs[0])
        sums = builder.stream(
            f"{name}_sums", "sums of a word of pixels", f"vec<{struct}::sum_t, kWordLanes>", CHAIN_DEPTH
        )
        rows = [StencilRow(self.window.results(index), index) for index in range(len(self.runs))]
        height, width = self.window.kernel
        builder.unit_config(
            struct,
            f"{height * width} multipliers for each of {self.window.lanes} pixels",
            self.runs,
            rows,
            StencilRow(),
            (
                *self.window.constants,
                Constant("kWeightEntries", str(len(self.runs))),
                Constant.integer("weight_t", self.weight_bits),
                self.post.sum_type,
            ),
        )
        weights = builder.parameter(
            f"{name}_weights",
            f"vec<{struct}::weight_t, {struct}::kHeight * {struct}::kWidth>",
            f"{struct}::kWeightEntries",
            [_weights(run.task) for run in self.runs],
            1 if self.weight_bits <= 8 else 2,
        )
        builder.process("stencil", struct, patches, weights, sums)
        self.post.place(builder, self.name, sums, output)

    def stages(self, phase: int) -> list[Stage]:
        """Row window, stencil and post."""
        index = index_of(self.runs, phase)
        words = self.window.results(index)
        return [self.window.stage(index), Stage.passing("stencil", words), self.post.stage(index, 1)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """A DSP for every product of a word; adders in LUTs."""
        positions = self.window.kernel[0] * self.window.kernel[1]
        own = Resources(
            dsp=lanes * positions * dsp_of_product(element_bits, self.weight_bits),
            bram18=bram18(positions * self.weight_bits, len(self.runs)),
            uram=0,
            lut=lanes * positions * self.post.sum_bits,
            ff=lanes * positions * 2 * self.post.sum_bits,
        )
        return add(own, self.post.resources(), self.window.resources(element_bits))


def build_stencil(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> StencilHardware:
    """Sizes a stencil unit for its runs.

    Raises:
        ScheduleError: a task is of another kind, or the tasks' windows differ.
    """
    tasks = [run.task for run in runs]
    window = size_row_window(
        [_work(graph, task).window for task in tasks],
        [graph.input_tensors(task)[0].number.zero for task in tasks],
        lanes,
    )
    # One channel: every word takes the same bias.
    post = size_post(graph, runs, [slice(0, lanes)] * len(runs), [1] * len(runs), lanes, lanes)
    rows = [replace(row, iterations=window.results(index)) for index, row in enumerate(post.rows)]
    return StencilHardware(
        unit=unit,
        runs=tuple(runs),
        window=window,
        post=replace(post, rows=tuple(rows)),
        weight_bits=max(task.parameters["weight"].number.bits for task in tasks),
    )


def _weights(task: Task) -> Integers:
    """One entry, kernel position by position."""
    return np.asarray(task.parameters["weight"].values, dtype=np.int64).reshape(1, -1)


def _work(graph: TaskGraph, task: Task) -> StencilWork:
    return work_of(graph, task, StencilWork, "a stencil unit")


STENCIL = UnitKind("stencil", StencilWork, build_stencil)

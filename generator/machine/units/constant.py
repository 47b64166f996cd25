"""The constant unit: streams tensors that are the same for every sample from a memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import ConstantWork
from ..builder import Builder
from ..constants import LANES, OUTPUT, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add, memory
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage, Steps
from .kind import UnitKind


@dataclass(frozen=True)
class ConstantRow(Row):
    """constant.hpp: words of a constant tensor."""

    struct: ClassVar[str] = "constant_row"
    header: ClassVar[str] = "constant.hpp"

    words: int = 0
    first: int = 0


@dataclass(frozen=True, eq=False)
class ConstantHardware(Hardware):
    """A constant unit with the rows of its tasks, in the order of `runs`, and their words, (words, lanes) in each block."""

    rows: tuple[ConstantRow, ...]
    blocks: tuple[Integers, ...]

    @property
    def entries(self) -> int:
        """Words of all blocks."""
        return sum(map(len, self.blocks))

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process and its memory."""
        name = builder.ids[self.name]
        struct = f"{camel_case(name)}Constant"
        builder.unit_config(
            struct,
            "the same for every sample",
            self.runs,
            self.rows,
            ConstantRow(),
            (
                LANES,
                Constant("kEntries", str(self.entries), "words of all tensors"),
                OUTPUT,
            ),
        )
        entries = builder.parameter(
            f"{name}_words",
            f"vec<{struct}::output_t, kWordLanes>",
            f"{struct}::kEntries",
            self.blocks,
            builder.element_bytes,
        )
        builder.process("constant", struct, entries, output)

    def stages(self, phase: int) -> list[Stage]:
        """A word per iteration, which waits for none."""
        words = self.rows[index_of(self.runs, phase)].words
        return [Stage("constant", words, (), Steps.even(words))]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """The memory and a counter."""
        return add(Resources(0, 0, 0, 80, 80), memory(lanes * element_bits, self.entries))


def build_constant(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> ConstantHardware:
    """Packs the tensors of a unit; equal ones are stored once.

    Raises:
        ScheduleError: a task is of another kind.
    """
    firsts: dict[bytes, int] = {}
    blocks: list[Integers] = []
    rows = []
    entries = 0
    for run in runs:
        words = _words(graph, run.task, lanes)
        content = words.tobytes()
        if content not in firsts:
            firsts[content] = entries
            blocks.append(words)
            entries += len(words)
        rows.append(ConstantRow(len(words), firsts[content]))
    return ConstantHardware(unit, tuple(runs), tuple(rows), tuple(blocks))


def _words(graph: TaskGraph, task: Task, lanes: int) -> Integers:
    """The tensor pixel by pixel, (words, lanes), zero beyond the channels."""
    work_of(graph, task, ConstantWork, "a constant unit")
    tensor = graph.output_tensor(task)
    pixels = np.moveaxis(task.values["values"], tensor.channel_axis, -1).reshape(-1, tensor.channels)
    return np.pad(pixels, ((0, 0), (0, -tensor.channels % lanes))).reshape(-1, lanes)


CONSTANT = UnitKind("constant", ConstantWork, build_constant)

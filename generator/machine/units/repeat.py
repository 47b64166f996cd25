"""The repeat unit: pixels several times side by side and rows several times, from a stream, a word per cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...board import Resources
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import RepeatWork
from ..builder import Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add, memory
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage, Steps
from .kind import UnitKind


@dataclass(frozen=True)
class RepeatRow(Row):
    """repeat.hpp: how often words stand in a row of the result, and rows below one another."""

    struct: ClassVar[str] = "repeat_row"
    header: ClassVar[str] = "repeat.hpp"

    iterations: int = 0
    rows: int = 0
    pixels: int = 0
    words: int = 0
    times: int = 0
    last: int = 0
    shift: int = 0

    @property
    def row_words(self) -> int:
        """Words of a row of the image."""
        return self.pixels * self.words

    @property
    def result_words(self) -> int:
        """Words of a row of the result."""
        return ((self.pixels - 1) * self.times + self.last) * self.words

    @property
    def last_read(self) -> int:
        """Iteration of a row of the image, from 1, that reads its last word."""
        return self.result_words - (self.last - 1) * self.words


@dataclass(frozen=True, eq=False)
class RepeatHardware(Hardware):
    """A repeat unit with the rows of its tasks, in the order of `runs`; `spreads` if words hold pixels."""

    rows: tuple[RepeatRow, ...]
    spreads: bool

    @property
    def line_words(self) -> int:
        """Words of the longest row."""
        return max(row.row_words for row in self.rows)

    @property
    def delay(self) -> int:
        """Words of the largest pixel."""
        return max(row.words for row in self.rows)

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process."""
        struct = f"{camel_case(builder.ids[self.name])}Repeat"
        builder.unit_config(
            struct,
            "pixels several times",
            self.runs,
            self.rows,
            RepeatRow(),
            (
                LANES,
                Constant("kLineWords", str(self.line_words), "of the longest row"),
                Constant("kDelay", str(self.delay), "words of the largest pixel"),
                Constant.flag("kSpreads", self.spreads),
                INPUT,
                OUTPUT,
            ),
        )
        builder.process("repeat", struct, *inputs, output)

    def stages(self, phase: int) -> list[Stage]:
        """A word of the result per iteration; words of the image in the first of their rows."""
        row = self.rows[index_of(self.runs, phase)]
        reads: list[tuple[float, float]] = []
        for before in range(0, row.iterations, row.rows * row.result_words):
            read = len(reads) // 2 * row.row_words
            reads += [(read + 1, before + 1), (read + row.row_words, before + row.last_read)]
        return [Stage("repeat", row.iterations, (Steps.of(*reads),), Steps.even(row.iterations))]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """The line buffer, the delay with its multiplexer, what spreads pixels, and counters."""
        word = lanes * element_bits
        logic = Resources(
            dsp=0,
            bram18=0,
            uram=0,
            lut=word * (1 + self.delay // 4 + 2 * self.spreads) + 200,
            ff=word * (self.delay + 2) + 250,
        )
        return add(logic, memory(word, self.line_words))


def build_repeat(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> RepeatHardware:
    """Sizes a repeat unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    works = [_work(graph, run.task) for run in runs]
    return RepeatHardware(
        unit,
        tuple(runs),
        tuple(_row(work, lanes) for work in works),
        any(work.rows_in_words for work in works),
    )


def _row(work: RepeatWork, lanes: int) -> RepeatRow:
    if work.rows_in_words:
        pixels = -(-work.width // lanes)
        result = -(-work.width * work.across // lanes)
        words, last, shift = 1, result - (pixels - 1) * work.across, work.across.bit_length() - 1
    else:
        pixels, words, last, shift = work.width, -(-work.channels // lanes), work.across, 0
        result = pixels * work.across * words
    return RepeatRow(
        iterations=work.height * work.down * result,
        rows=work.down,
        pixels=pixels,
        words=words,
        times=work.across,
        last=last,
        shift=shift,
    )


def _work(graph: TaskGraph, task: Task) -> RepeatWork:
    return work_of(graph, task, RepeatWork, "a repeat unit")


REPEAT = UnitKind("repeat", RepeatWork, build_repeat)

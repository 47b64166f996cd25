"""The row window in front of a stencil or row pool unit: a word of neighbouring windows per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...board import Resources
from ...schedule.plan import ScheduleError
from ...work import Window
from ..builder import CHAIN_DEPTH, Builder
from ..constants import INPUT, LANES, Constant
from ..identifiers import camel_case
from ..resources import bram18
from ..rows import Row
from ..run import Run
from ..stage import Stage, Steps

_SHORTEST_LINE = 8
"""The line buffer is read and written in one cycle; its lines must be longer than that pipeline."""


@dataclass(frozen=True)
class RowWindowRow(Row):
    """row_window.hpp: geometry of windows over rows of words."""

    struct: ClassVar[str] = "row_window_row"
    header: ClassVar[str] = "row_window.hpp"

    iterations: int = 0
    height: int = 0
    words: int = 0
    last: int = 0
    columns: int = 0
    pad_top: int = 0
    out_height: int = 0
    out_words: int = 0
    padding: int = 0


@dataclass(frozen=True)
class RowWindow:
    """A row window with the rows of its tasks, whose kernel, stride and left padding are the same.

    Attributes:
        kernel: rows and columns of pixels.
        stride: both ways.
        pad_left: columns of padding.
        lanes: pixels per word.
        rows: of each task.
    """

    kernel: tuple[int, int]
    stride: int
    pad_left: int
    lanes: int
    rows: tuple[RowWindowRow, ...]

    @property
    def span(self) -> int:
        """Pixels of a row of a patch."""
        return (self.lanes - 1) * self.stride + self.kernel[1]

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Of the configs of this process and of the one that takes its patches."""
        return (
            LANES,
            Constant("kHeight", str(self.kernel[0]), "of the kernel"),
            Constant("kWidth", str(self.kernel[1])),
            Constant("kStride", str(self.stride)),
            INPUT,
        )

    def place(self, builder: Builder, unit: str, runs: Sequence[Run], source: str) -> str:
        """Adds the process; returns the stream of patches."""
        name = builder.ids[unit]
        struct = f"{camel_case(name)}Window"
        patches = builder.stream(
            f"{name}_patches",
            "what a word of windows sees",
            f"row_patch<{struct}>::type",
            CHAIN_DEPTH,
        )
        columns = max(row.columns for row in self.rows)
        builder.unit_config(
            struct,
            "windows over rows of words",
            runs,
            self.rows,
            RowWindowRow(),
            (
                *self.constants,
                Constant("kPadLeft", str(self.pad_left)),
                Constant("kColumns", str(columns), "words of the longest row"),
            ),
        )
        builder.process("row_window", struct, source, patches)
        return patches

    def stage(self, index: int) -> Stage:
        """The process as the cost model times it for one task."""
        row = self.rows[index]
        reads: list[tuple[int, int]] = []
        for y in range(row.height):
            before = (y + row.pad_top) * row.columns
            reads += [(y * row.words + n, before + n) for n in (1, row.words)]
        writes: list[tuple[int, int]] = []
        for y in range(row.out_height):
            # The rows of the kernel are there, and the word behind those that the windows begin in.
            before = (y * self.stride + self.kernel[0] - 1) * row.columns + 1
            writes += [(y * row.out_words + n, before + n * self.stride) for n in (1, row.out_words)]
        return Stage("row_window", row.iterations, (Steps.of(*reads),), Steps.of(*writes))

    def results(self, index: int) -> int:
        """Words of a task's result."""
        return self.rows[index].out_height * self.rows[index].out_words

    def resources(self, element_bits: int) -> Resources:
        """Line buffer, registers of the words around a patch, and counters."""
        height = self.kernel[0]
        columns = max(row.columns for row in self.rows)
        registers = height * (self.stride + 2) * self.lanes * element_bits
        brams = bram18((height - 1) * self.lanes * element_bits, columns)
        return Resources(dsp=0, bram18=brams, uram=0, lut=700 + registers, ff=800 + registers)


def size_row_window(windows: Sequence[Window], paddings: Sequence[int], lanes: int) -> RowWindow:
    """The row window of a unit.

    Args:
        windows: geometry of each task.
        paddings: raw value of padded pixels of each task.
        lanes: pixels per word.

    Raises:
        ScheduleError: the tasks need different windows, or their windows reach further than a word.
    """
    shapes = {row_window_shape(window) for window in windows}
    if len(shapes) > 1:
        raise ScheduleError(f"one unit for windows of {len(shapes)} shapes: {', '.join(sorted(shapes))}")
    kernel, stride, pad_left = windows[0].kernel, windows[0].stride[0], windows[0].pad_left
    if max(pad_left, kernel[1] - stride - pad_left) > lanes:
        raise ScheduleError(f"windows of {kernel[1]} columns reach further than words of {lanes} pixels")
    rows = tuple(_row(window, padding, lanes) for window, padding in zip(windows, paddings, strict=True))
    return RowWindow(kernel, stride, pad_left, lanes, rows)


def row_window_shape(window: Window) -> str:
    """What windows on one unit have in common, as a part of the unit's name."""
    height, width = window.kernel
    return f"{height}x{width}_stride{window.stride[0]}_left{window.pad_left}"


def _row(window: Window, padding: int, lanes: int) -> RowWindowRow:
    stride = window.stride[0]
    words, out_words = -(-window.width // lanes), -(-window.out_width // lanes)
    columns = stride * max(-(-words // stride), out_words, -(-_SHORTEST_LINE // stride))
    rows = max((window.out_height - 1) * stride + window.kernel[0], window.height + window.pad_top)
    return RowWindowRow(
        iterations=rows * columns + 1,
        height=window.height,
        words=words,
        last=window.width - (words - 1) * lanes,
        columns=columns,
        pad_top=window.pad_top,
        out_height=window.out_height,
        out_words=out_words,
        padding=padding,
    )

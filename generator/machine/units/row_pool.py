"""The row pool unit: row window -> row pool. Maxima of a word of neighbouring windows per cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...arithmetic.requantisation import requantisation
from ...board import Resources
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import RowPoolWork
from ..builder import Builder
from ..constants import OUTPUT
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage
from .kind import UnitKind
from .row_window import RowWindow, size_row_window


@dataclass(frozen=True)
class RowPoolRow(Row):
    """row_pool.hpp: words of results, and their clamp."""

    struct: ClassVar[str] = "row_pool_row"
    header: ClassVar[str] = "row_pool.hpp"

    iterations: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class RowPoolHardware(Hardware):
    """A row pool unit with the rows of its tasks, in the order of `runs`."""

    window: RowWindow
    rows: tuple[RowPoolRow, ...]

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds row window and row pool."""
        struct = f"{camel_case(builder.ids[self.name])}Pool"
        patches = self.window.place(builder, self.name, self.runs, inputs[0])
        builder.unit_config(
            struct,
            "maxima of a word of windows",
            self.runs,
            self.rows,
            RowPoolRow(),
            (*self.window.constants, OUTPUT),
        )
        builder.process("row_pool", struct, patches, output)

    def stages(self, phase: int) -> list[Stage]:
        """Row window and row pool."""
        index = index_of(self.runs, phase)
        words = self.window.results(index)
        return [self.window.stage(index), Stage.passing("row_pool", words)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Comparators."""
        positions = self.window.kernel[0] * self.window.kernel[1]
        comparators = lanes * positions * element_bits
        own = Resources(dsp=0, bram18=0, uram=0, lut=2 * comparators + 200, ff=comparators + 200)
        return add(own, self.window.resources(element_bits))


def build_row_pool(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> RowPoolHardware:
    """Sizes a row pool unit for its runs.

    Raises:
        ScheduleError: a task is of another kind, or the tasks' windows differ.
    """
    tasks = [run.task for run in runs]
    window = size_row_window(
        [_work(graph, task).window for task in tasks],
        [graph.input_tensors(task)[0].number.minimum for task in tasks],  # padding never is the maximum
        lanes,
    )
    found = [requantisation(graph, task) for task in tasks]
    rows = [RowPoolRow(window.results(index), one.low, one.high) for index, one in enumerate(found)]
    return RowPoolHardware(unit, tuple(runs), window, tuple(rows))


def _work(graph: TaskGraph, task: Task) -> RowPoolWork:
    return work_of(graph, task, RowPoolWork, "a row pool unit")


ROW_POOL = UnitKind("row_pool", RowPoolWork, build_row_pool)

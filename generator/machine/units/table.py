"""The table unit: a function of single elements, looked up for a word of elements per cycle.

All tables of the unit's tasks lie in one memory, filled once with the weights. A RAM has two ports, and every lane looks
up an element of its own, so there is a copy of the memory for every two lanes: at 8 bits, a BRAM18 per two lanes for
up to eight tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import TableWork
from ..builder import Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, words_of, work_of
from ..identifiers import camel_case
from ..resources import add, memory
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage
from .kind import UnitKind


@dataclass(frozen=True)
class TableRow(Row):
    """table.hpp: words to look up, and which table."""

    struct: ClassVar[str] = "table_row"
    header: ClassVar[str] = "table.hpp"

    words: int = 0
    first: int = 0
    mask: int = 0


@dataclass(frozen=True, eq=False)
class TableHardware(Hardware):
    """A table unit with the rows of its tasks, in the order of `runs`, and every table that they need, once."""

    rows: tuple[TableRow, ...]
    tables: tuple[Integers, ...]

    @property
    def entries(self) -> int:
        """Entries of all tables."""
        return sum(map(len, self.tables))

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process and its memory."""
        name = builder.ids[self.name]
        struct = f"{camel_case(name)}Table"
        builder.unit_config(
            struct,
            "functions of single elements",
            self.runs,
            self.rows,
            TableRow(),
            (
                LANES,
                Constant("kEntries", str(self.entries), "of all tables"),
                Constant("kCopies", "(kLanes + 1) / 2", "one for every two lanes"),
                INPUT,
                OUTPUT,
            ),
        )
        tables = builder.parameter(
            f"{name}_tables",
            f"{struct}::output_t",
            f"{struct}::kEntries",
            [table.reshape(-1, 1) for table in self.tables],
            builder.element_bytes,
            f"{struct}::kCopies",
        )
        builder.process("table", struct, *inputs, tables, output)

    def stages(self, phase: int) -> list[Stage]:
        """One pass over the words."""
        words = self.rows[index_of(self.runs, phase)].words
        return [Stage.passing("table", words)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """The copies of the memory, and an address for every lane."""
        address_bits = self.entries.bit_length()
        logic = Resources(
            dsp=0,
            bram18=0,
            uram=0,
            lut=lanes * (address_bits + element_bits) + 150,
            ff=lanes * (address_bits + 2 * element_bits) + 150,
        )
        return add(logic, *[memory(element_bits, self.entries)] * ceil(lanes / 2))


def build_table(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> TableHardware:
    """Sizes a table unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    firsts: dict[bytes, int] = {}
    tables: list[Integers] = []
    rows = []
    for run in runs:
        table = _table(graph, run.task)
        content = table.tobytes()
        if content not in firsts:
            firsts[content] = sum(map(len, tables))
            tables.append(table)
        words = words_of(graph, run.task.output, lanes)
        rows.append(TableRow(words, firsts[content], len(table) - 1))
    return TableHardware(unit, tuple(runs), tuple(rows), tuple(tables))


def _table(graph: TaskGraph, task: Task) -> Integers:
    work_of(graph, task, TableWork, "a table unit")
    return task.parameters["table"].values


TABLE = UnitKind("table", TableWork, build_table)

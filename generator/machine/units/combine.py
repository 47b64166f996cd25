"""The combine unit: two tensors element by element, a word per cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ...arithmetic.requantisation import requantisation
from ...board import Resources
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import Combination, CombineWork
from ..builder import Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, rounding_bits, words_of, work_of
from ..identifiers import camel_case
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage
from .kind import UnitKind


@dataclass(frozen=True)
class CombineRow(Row):
    """combine.hpp: two operands, aligned, combined, rounded and clamped."""

    struct: ClassVar[str] = "combine_row"
    header: ClassVar[str] = "combine.hpp"

    words: int = 0
    kind: int = 0
    shift_a: int = 0
    shift_b: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0
    zero_a: int = 0
    zero_b: int = 0
    factor_a: int = 1
    factor_b: int = 1
    multiplier: int = 1
    zero: int = 0
    rounding: int = 0


@dataclass(frozen=True)
class CombineHardware(Hardware):
    """A combine unit with the rows of its tasks, in the order of `runs`."""

    rows: tuple[CombineRow, ...]
    total_bits: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process."""
        struct = f"{camel_case(builder.ids[self.name])}Combine"
        kinds = {Combination(row.kind) for row in self.rows}
        builder.unit_config(
            struct,
            "element by element",
            self.runs,
            self.rows,
            CombineRow(),
            (
                LANES,
                Constant(
                    "kKinds",
                    " | ".join(f"k{kind.name.capitalize()}" for kind in sorted(kinds, key=lambda k: k.value)),
                ),
                Constant.flag("kScaled", self.scaled),
                Constant.flag("kDirected", any(row.rounding for row in self.rows)),
                INPUT,
                OUTPUT,
                Constant.integer("total_t", self.total_bits, "never wraps: range analysis"),
            ),
        )
        builder.process("combine", struct, *inputs, output)

    @property
    def scaled(self) -> bool:
        """True if some task multiplies by factors of scales."""
        return any((row.factor_a, row.factor_b, row.multiplier) != (1, 1, 1) for row in self.rows)

    def stages(self, phase: int) -> list[Stage]:
        """One pass over the words."""
        words = self.rows[index_of(self.runs, phase)].words
        return [Stage.passing("combine", words, inputs=2)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Shifters and adders; multipliers where products occur."""
        products = any(row.kind == Combination.PRODUCT.value for row in self.rows)
        return Resources(
            dsp=lanes * (ceil(element_bits / 17) * products + 4 * self.scaled),
            bram18=0,
            uram=0,
            lut=lanes * self.total_bits * 6 + 200,
            ff=lanes * self.total_bits * 4 + 200,
        )


def build_combine(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> CombineHardware:
    """Sizes a combine unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    tasks = [run.task for run in runs]
    return CombineHardware(
        unit=unit,
        runs=tuple(runs),
        rows=tuple(_row(graph, task, lanes) for task in tasks),
        total_bits=max(rounding_bits(graph, task) for task in tasks),
    )


def _row(graph: TaskGraph, task: Task, lanes: int) -> CombineRow:
    work = work_of(graph, task, CombineWork, "a combine unit")
    found = requantisation(graph, task)
    words = words_of(graph, task.output, lanes)
    zero_a, zero_b = (tensor.number.zero for tensor in graph.input_tensors(task))
    return CombineRow(
        words=words,
        kind=work.kind.value,
        shift_a=work.shifts[0],
        shift_b=work.shifts[1],
        shift=found.right,
        low=found.low,
        high=found.high,
        zero_a=zero_a,
        zero_b=zero_b,
        factor_a=work.factors[0],
        factor_b=work.factors[1],
        multiplier=found.multipliers[0],
        zero=found.zero,
        rounding=found.rounding.value,
    )


COMBINE = UnitKind("combine", CombineWork, build_combine)

"""The softmax unit: maximum -> exponential -> factor -> scale, a word of elements per cycle.

Two FIFOs hold a row each: the words themselves until their maximum is known, and the exponentials until their sum is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ...arithmetic.integer_softmax import LOG_FRACTION, SoftmaxNumbers
from ...board import Resources
from ...fixed_point import Integers
from ...ops.softmax import Softmax
from ...schedule.plan import ScheduleError, Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import SoftmaxWork
from ..builder import CHAIN_DEPTH, Builder
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..machine import Constant
from ..resources import add, dsp_of_product, memory
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage, Steps, after_rows, row_by_row
from .kind import UnitKind
from .window import groups

_LATENCY = 16
"""Words that pass while a maximum or a sum is on its way."""
_DIVISION = 64
"""Likewise while a reciprocal is."""
_LOGARITHM_BITS = LOG_FRACTION + 5


@dataclass(frozen=True)
class SoftmaxMaximumRow(Row):
    """softmax.hpp: the geometry of rows, and of a causal mask."""

    struct: ClassVar[str] = "softmax_maximum_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    period: int = 0
    first: int = 0


@dataclass(frozen=True)
class SoftmaxExponentialRow(Row):
    """softmax.hpp: likewise, and which tables."""

    struct: ClassVar[str] = "softmax_exponential_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    period: int = 0
    first: int = 0
    log: bool = False
    fraction: int = 0
    fine: int = 0
    fine_mask: int = 0
    coarse: int = 0


@dataclass(frozen=True)
class SoftmaxFactorRow(Row):
    """softmax.hpp: reciprocals or logarithms of sums."""

    struct: ClassVar[str] = "softmax_factor_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    log: bool = False
    fraction: int = 0
    numerator: int = 0


@dataclass(frozen=True)
class SoftmaxScaleRow(Row):
    """softmax.hpp: the result, rounded and clamped."""

    struct: ClassVar[str] = "softmax_scale_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    log: bool = False
    left_difference: int = 0
    left_logarithm: int = 0
    shift: int = 0
    zero: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class _Widths:
    """Bits of the signed numbers between the processes, for all tasks of the unit."""

    source: int
    value: int
    total: int
    sum: int
    factor: int
    entry: int
    product: int
    quotient: int


@dataclass(frozen=True, eq=False)
class SoftmaxHardware(Hardware):
    """A softmax unit with its tasks, in the order of `runs`."""

    graph: TaskGraph
    numbers: tuple[SoftmaxNumbers, ...]
    lanes: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the four processes, their FIFOs and the tables."""
        name = builder.ids[self.name]
        struct, widths = camel_case(name), self._widths
        depth = max(self._words(index) for index in range(len(self.runs)))
        held = builder.stream(f"{name}_held", "words whose maximum is not known yet", depth=depth + _LATENCY)
        maxima = builder.stream(f"{name}_maxima", "maximum of a row", "element_t", CHAIN_DEPTH)
        values = builder.stream(
            f"{name}_values",
            "exponentials whose sum is not known yet",
            f"vec<{struct}Scale::value_t, kWordLanes>",
            depth + _LATENCY + _DIVISION,
        )
        per_row = ceil(_DIVISION / min(self._words(index) for index in range(len(self.runs)))) + CHAIN_DEPTH
        sums = builder.stream(f"{name}_sums", "sum of a row", f"{struct}Factor::sum_t", per_row)
        factors = builder.stream(
            f"{name}_factors", "reciprocal or logarithm of a sum", f"{struct}Factor::factor_t", per_row
        )
        rows = [self._rows(index) for index in range(len(self.runs))]
        tables, firsts = self._tables()
        lanes = Constant("kLanes", "kWordLanes")
        element = Constant("input_t", "element_t", is_type=True)
        value = _integer("value_t", widths.value)
        sum_of_row = _integer("sum_t", widths.sum)
        factor = _integer("factor_t", widths.factor)
        split = any(len(run.task.values["coarse"]) > 1 for run in self.runs)
        which = (
            Constant("kSoftmax", _text(not all(map(_log, self.runs)))),
            Constant("kLog", _text(any(map(_log, self.runs)))),
        )
        builder.unit_config(
            f"{struct}Maximum",
            "maximum of every row",
            self.runs,
            rows,
            SoftmaxMaximumRow(),
            (lanes, element),
        )
        builder.process("softmax_maximum", f"{struct}Maximum", *inputs, held, maxima)
        builder.unit_config(
            f"{struct}Exponential",
            "exponentials of every row, and their sum",
            self.runs,
            [self._exponential(row, index, firsts[index]) for index, row in enumerate(rows)],
            SoftmaxExponentialRow(),
            (
                lanes,
                *which,
                Constant("kSplit", _text(split), "an exponential is a product of two entries"),
                Constant("kEntries", str(sum(map(len, tables))), "of all tables"),
                Constant("kCopies", "kLanes" if split else "(kLanes + 1) / 2", "two reads of each"),
                element,
                value,
                sum_of_row,
                _integer("entry_t", widths.entry),
                _integer("product_t", widths.product),
            ),
        )
        memories = builder.parameter(
            f"{name}_tables",
            f"{struct}Exponential::entry_t",
            f"{struct}Exponential::kEntries",
            [table.reshape(-1, 1) for table in tables],
            4,
            f"{struct}Exponential::kCopies",
        )
        builder.process("softmax_exponential", f"{struct}Exponential", held, maxima, memories, values, sums)
        builder.unit_config(
            f"{struct}Factor",
            "what scales a row",
            self.runs,
            [self._factor(index) for index in range(len(rows))],
            SoftmaxFactorRow(),
            (
                *which,
                Constant("kSumBits", str(widths.sum - 1)),
                sum_of_row,
                factor,
                _integer("quotient_t", widths.quotient),
            ),
        )
        builder.process("softmax_factor", f"{struct}Factor", sums, factors)
        builder.unit_config(
            f"{struct}Scale",
            "scaling, rounding, clamp",
            self.runs,
            [self._scale(row, index) for index, row in enumerate(rows)],
            SoftmaxScaleRow(),
            (
                lanes,
                *which,
                value,
                factor,
                _integer("total_t", widths.total),
                Constant("output_t", "element_t", is_type=True),
            ),
        )
        builder.process("softmax_scale", f"{struct}Scale", values, factors, output)

    def stages(self, phase: int) -> list[Stage]:
        """Two processes that see a whole row before they pass its first word on, and two that do not."""
        index = index_of(self.runs, phase)
        row = self._words(index)
        words = self.graph.output_tensor(self.runs[index].task).pixels * row
        return [
            Stage("softmax_maximum", words, (Steps.even(words),), after_rows(words, row)),
            Stage("softmax_exponential", words, (Steps.even(words),), after_rows(words, row)),
            row_by_row("softmax_factor", words, row),
            Stage.passing("softmax_scale", words),
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Tables, row FIFOs and a multiplier per lane; a second one where exponentials are products."""
        widths = self._widths
        depth = max(self._words(index) for index in range(len(self.runs))) + _LATENCY
        split = any(len(run.task.values["coarse"]) > 1 for run in self.runs)
        entries = sum(len(table) for table in self._tables()[0])
        multipliers = dsp_of_product(widths.value, widths.factor) + (
            dsp_of_product(widths.entry, widths.entry) if split else 0
        )
        logic = Resources(
            dsp=lanes * multipliers,
            bram18=0,
            uram=0,
            lut=lanes * (3 * widths.source + 2 * widths.value + widths.total)
            + widths.quotient * widths.factor
            + 900,
            ff=lanes * (2 * widths.source + 3 * widths.value + widths.total)
            + 2 * widths.quotient * widths.factor
            + 900,
        )
        copies = lanes if split else ceil(lanes / 2)
        return add(
            logic,
            memory(lanes * element_bits, depth),
            memory(lanes * widths.value, depth + _DIVISION),
            *[memory(widths.entry, entries)] * copies,
        )

    @property
    def _widths(self) -> _Widths:
        numbers = self.numbers
        source = max(self.graph.input_tensors(run.task)[0].number.bits for run in self.runs)
        output = max(self.graph.output_tensor(run.task).number.bits for run in self.runs)
        fraction = max(one.fraction for one in numbers)
        scale = max(one.scale for one in numbers)
        sum_bits = max(one.sum_bits for one in numbers)
        factor = max(one.scale - one.fraction for one in numbers) + 2
        total = max(scale + 1, output, *(one.shift for one in numbers))
        if any(map(_log, self.runs)):
            factor = max(factor, _LOGARITHM_BITS + 1)
            total = max(
                total,
                *(max(source + n.left_difference, _LOGARITHM_BITS + n.left_logarithm) + 1 for n in numbers),
            )
        return _Widths(
            source=source,
            value=max(fraction + 2, source + 1),
            total=total + 2,
            sum=sum_bits + 1,
            factor=factor,
            entry=fraction + 2,
            product=2 * fraction + 3,
            quotient=max(scale, sum_bits) + 3,
        )

    def _words(self, index: int) -> int:
        """Words of a row."""
        return groups(self.numbers[index].channels, self.lanes)

    def _rows(self, index: int) -> SoftmaxMaximumRow:
        task, words = self.runs[index].task, self._words(index)
        operator = task.operator
        if not isinstance(operator, Softmax):
            raise ScheduleError(f"task {task.name!r} ({operator.name}) cannot run on a softmax unit")
        pixels = self.graph.output_tensor(task).pixels
        return SoftmaxMaximumRow(pixels * words, words, operator.channels, operator.period, operator.first)

    def _exponential(
        self, row: SoftmaxMaximumRow, index: int, firsts: tuple[int, int]
    ) -> SoftmaxExponentialRow:
        run, numbers = self.runs[index], self.numbers[index]
        fine, coarse = firsts
        return SoftmaxExponentialRow(
            row.iterations,
            row.words,
            row.channels,
            row.period,
            row.first,
            _log(run),
            numbers.fraction,
            fine,
            len(run.task.values["fine"]) - 1,
            coarse,
        )

    def _factor(self, index: int) -> SoftmaxFactorRow:
        run, numbers = self.runs[index], self.numbers[index]
        pixels = self.graph.output_tensor(run.task).pixels
        return SoftmaxFactorRow(pixels, _log(run), numbers.fraction, numbers.numerator)

    def _scale(self, row: SoftmaxMaximumRow, index: int) -> SoftmaxScaleRow:
        numbers = self.numbers[index]
        return SoftmaxScaleRow(
            row.iterations,
            row.words,
            _log(self.runs[index]),
            numbers.left_difference,
            numbers.left_logarithm,
            numbers.shift,
            numbers.zero,
            numbers.low,
            numbers.high,
        )

    def _tables(self) -> tuple[list[Integers], list[tuple[int, int]]]:
        """All tables, fine and coarse of each task in turn, and where they begin."""
        tables: list[Integers] = []
        firsts: list[tuple[int, int]] = []
        for run in self.runs:
            fine, coarse = (run.task.values[role] for role in ("fine", "coarse"))
            start = sum(map(len, tables))
            firsts.append((start, start + len(fine)))
            tables += [fine, coarse]
        return tables, firsts


def build_softmax(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> SoftmaxHardware:
    """Sizes a softmax unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    return SoftmaxHardware(unit, tuple(runs), graph, tuple(_numbers(graph, run.task) for run in runs), lanes)


def _numbers(graph: TaskGraph, task: Task) -> SoftmaxNumbers:
    work_of(graph, task, SoftmaxWork, "a softmax unit")
    return SoftmaxNumbers.of_array(task.values["numbers"])


def _log(run: Run) -> bool:
    return isinstance(run.task.operator, Softmax) and run.task.operator.log


def _integer(name: str, bits: int) -> Constant:
    return Constant(name, f"integer<{bits}>", is_type=True)


def _text(flag: bool) -> str:
    return str(flag).lower()


SOFTMAX = UnitKind("softmax", SoftmaxWork, build_softmax)

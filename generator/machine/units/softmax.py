"""The softmax unit: maximum -> exponential -> factor -> scale, a word of elements per cycle.

Two FIFOs hold a row each: the words themselves until their maximum is known, and the exponentials until their sum is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ...arithmetic.integer_softmax import LOG_FRACTION, SoftmaxNumbers
from ...board import Resources
from ...fixed_point import Integers
from ...ops.softmax import Softmax
from ...schedule.plan import ScheduleError, Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import SoftmaxWork
from ..builder import CHAIN_DEPTH, Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add, dsp_of_product, memory
from ..run import Run, index_of
from ..stage import Stage, Steps, after_rows, row_by_row
from .kind import UnitKind
from .softmax_rows import SoftmaxExponentialRow, SoftmaxFactorRow, SoftmaxMaximumRow, SoftmaxScaleRow
from .window import groups

_LATENCY = 16
"""Words that pass while a maximum or a sum is on its way."""
_DIVISION = 64
"""Likewise while a reciprocal is."""
_LOGARITHM_BITS = LOG_FRACTION + 5


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

    @property
    def value_type(self) -> Constant:
        """Of an exponential, or of a difference."""
        return Constant.integer("value_t", self.value)

    @property
    def sum_type(self) -> Constant:
        """Of the sum of a row."""
        return Constant.integer("sum_t", self.sum)

    @property
    def factor_type(self) -> Constant:
        """Of the reciprocal or logarithm of a sum."""
        return Constant.integer("factor_t", self.factor)


@dataclass(frozen=True, eq=False)
class SoftmaxHardware(Hardware):
    """A softmax unit with its tasks, in the order of `runs`."""

    graph: TaskGraph
    numbers: tuple[SoftmaxNumbers, ...]
    lanes: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the four processes, their FIFOs and the tables."""
        name = builder.ids[self.name]
        struct = camel_case(name)
        depth = max(self._words) + _LATENCY
        per_row = ceil(_DIVISION / min(self._words)) + CHAIN_DEPTH
        held = builder.stream(f"{name}_held", "words whose maximum is not known yet", depth=depth)
        maxima = builder.stream(f"{name}_maxima", "maximum of a row", "element_t", CHAIN_DEPTH)
        values = builder.stream(
            f"{name}_values",
            "exponentials whose sum is not known yet",
            f"vec<{struct}Scale::value_t, kWordLanes>",
            depth + _DIVISION,
        )
        sums = builder.stream(f"{name}_sums", "sum of a row", f"{struct}Factor::sum_t", per_row)
        factors = builder.stream(
            f"{name}_factors", "reciprocal or logarithm of a sum", f"{struct}Factor::factor_t", per_row
        )
        self._place_maximum(builder, struct, inputs, (held, maxima))
        self._place_exponential(builder, struct, (held, maxima), (values, sums))
        self._place_factor(builder, struct, sums, factors)
        self._place_scale(builder, struct, (values, factors), output)

    def _place_maximum(
        self, builder: Builder, struct: str, sources: tuple[str, ...], results: tuple[str, str]
    ) -> None:
        builder.unit_config(
            f"{struct}Maximum",
            "maximum of every row",
            self.runs,
            [self._maximum(index) for index in range(len(self.runs))],
            SoftmaxMaximumRow(),
            (LANES, INPUT),
        )
        builder.process("softmax_maximum", f"{struct}Maximum", *sources, *results)

    def _place_exponential(
        self, builder: Builder, struct: str, sources: tuple[str, str], results: tuple[str, str]
    ) -> None:
        widths, (tables, firsts) = self._widths, self._tables()
        builder.unit_config(
            f"{struct}Exponential",
            "exponentials of every row, and their sum",
            self.runs,
            [self._exponential(index, first) for index, first in enumerate(firsts)],
            SoftmaxExponentialRow(),
            (
                LANES,
                *self._functions,
                Constant.flag("kSplit", self._split, "an exponential is a product of two entries"),
                Constant("kEntries", str(sum(map(len, tables))), "of all tables"),
                Constant("kCopies", "kLanes" if self._split else "(kLanes + 1) / 2", "two reads of each"),
                INPUT,
                widths.value_type,
                widths.sum_type,
                Constant.integer("entry_t", widths.entry),
                Constant.integer("product_t", widths.product),
            ),
        )
        memories = builder.parameter(
            f"{builder.ids[self.name]}_tables",
            f"{struct}Exponential::entry_t",
            f"{struct}Exponential::kEntries",
            [table.reshape(-1, 1) for table in tables],
            4,
            f"{struct}Exponential::kCopies",
        )
        builder.process("softmax_exponential", f"{struct}Exponential", *sources, memories, *results)

    def _place_factor(self, builder: Builder, struct: str, source: str, result: str) -> None:
        widths = self._widths
        builder.unit_config(
            f"{struct}Factor",
            "what scales a row",
            self.runs,
            [self._factor(index) for index in range(len(self.runs))],
            SoftmaxFactorRow(),
            (
                *self._functions,
                Constant("kSumBits", str(widths.sum - 1)),
                widths.sum_type,
                widths.factor_type,
                Constant.integer("quotient_t", widths.quotient),
            ),
        )
        builder.process("softmax_factor", f"{struct}Factor", source, result)

    def _place_scale(self, builder: Builder, struct: str, sources: tuple[str, str], result: str) -> None:
        widths = self._widths
        builder.unit_config(
            f"{struct}Scale",
            "scaling, rounding, clamp",
            self.runs,
            [self._scale(index) for index in range(len(self.runs))],
            SoftmaxScaleRow(),
            (
                LANES,
                *self._functions,
                widths.value_type,
                widths.factor_type,
                Constant.integer("total_t", widths.total),
                OUTPUT,
            ),
        )
        builder.process("softmax_scale", f"{struct}Scale", *sources, result)

    def stages(self, phase: int) -> list[Stage]:
        """Two processes that see a whole row before they pass its first word on, and two that do not."""
        index = index_of(self.runs, phase)
        row = self._words[index]
        words = self._pixels(index) * row
        return [
            Stage("softmax_maximum", words, (Steps.even(words),), after_rows(words, row)),
            Stage("softmax_exponential", words, (Steps.even(words),), after_rows(words, row)),
            row_by_row("softmax_factor", words, row),
            Stage.passing("softmax_scale", words),
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Tables, row FIFOs and a multiplier per lane; a second one where exponentials are products."""
        widths = self._widths
        depth = max(self._words) + _LATENCY
        entries = sum(len(table) for table in self._tables()[0])
        multipliers = dsp_of_product(widths.value, widths.factor) + (
            dsp_of_product(widths.entry, widths.entry) if self._split else 0
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
        copies = lanes if self._split else ceil(lanes / 2)
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

    @property
    def _functions(self) -> tuple[Constant, Constant]:
        """Which of Softmax and LogSoftmax occur."""
        logs = [_log(run) for run in self.runs]
        return Constant.flag("kSoftmax", not all(logs)), Constant.flag("kLog", any(logs))

    @property
    def _split(self) -> bool:
        """True if some exponential is a product of two entries."""
        return any(len(run.task.values["coarse"]) > 1 for run in self.runs)

    @property
    def _words(self) -> tuple[int, ...]:
        """Words of a row of each task."""
        return tuple(groups(one.channels, self.lanes) for one in self.numbers)

    def _pixels(self, index: int) -> int:
        return self.graph.output_tensor(self.runs[index].task).pixels

    def _maximum(self, index: int) -> SoftmaxMaximumRow:
        task, words = self.runs[index].task, self._words[index]
        operator = task.operator
        if not isinstance(operator, Softmax):
            raise ScheduleError(f"task {task.name!r} ({operator.name}) cannot run on a softmax unit")
        iterations = self._pixels(index) * words
        return SoftmaxMaximumRow(iterations, words, operator.channels, operator.period, operator.first)

    def _exponential(self, index: int, firsts: tuple[int, int]) -> SoftmaxExponentialRow:
        row, run = self._maximum(index), self.runs[index]
        fine, coarse = firsts
        return SoftmaxExponentialRow(
            row.iterations,
            row.words,
            row.channels,
            row.period,
            row.first,
            _log(run),
            self.numbers[index].fraction,
            fine,
            len(run.task.values["fine"]) - 1,
            coarse,
        )

    def _factor(self, index: int) -> SoftmaxFactorRow:
        numbers = self.numbers[index]
        return SoftmaxFactorRow(
            self._pixels(index), _log(self.runs[index]), numbers.fraction, numbers.numerator
        )

    def _scale(self, index: int) -> SoftmaxScaleRow:
        numbers, words = self.numbers[index], self._words[index]
        return SoftmaxScaleRow(
            self._pixels(index) * words,
            words,
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


SOFTMAX = UnitKind("softmax", SoftmaxWork, build_softmax)

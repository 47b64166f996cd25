"""The norm unit: moments -> inverse -> scale, a word of elements per cycle; a FIFO holds a row until its moments are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ...arithmetic.integer_norm import BETA_BITS, GAMMA_BITS, NormNumbers
from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import NormWork
from ..builder import CHAIN_DEPTH, Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, UnitMemory, work_of
from ..identifiers import camel_case
from ..pack import pack_biases
from ..resources import add, dsp_of_product, memory
from ..run import Run, index_of
from ..stage import Stage, Steps, after_rows, row_by_row
from .kind import UnitKind
from .norm_rows import NormInverseRow, NormMomentsRow, NormScaleRow
from .window import groups

_LATENCY = 96
"""Words that pass while moments become an inverse."""


@dataclass(frozen=True, eq=False)
class NormHardware(Hardware):
    """A norm unit with its tasks, in the order of `runs`."""

    graph: TaskGraph
    numbers: tuple[NormNumbers, ...]
    lanes: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the three processes, their FIFOs and the memories of gamma and beta."""
        name = builder.ids[self.name]
        struct = camel_case(name)
        per_row = ceil(_LATENCY / min(self._words)) + CHAIN_DEPTH
        held = builder.stream(f"{name}_held", "words whose moments are not known yet", depth=self._held)
        moments = builder.stream(
            f"{name}_row_moments",
            "sum and squares of a row",
            f"norm_moments_of<{struct}Moments::sum_t, {struct}Moments::square_t>",
            CHAIN_DEPTH,
        )
        inverses = builder.stream(
            f"{name}_inverses",
            "what scales a row",
            f"norm_inverse_of<{struct}Inverse::sum_t, {struct}Inverse::inverse_t>",
            per_row,
        )
        self._place_moments(builder, struct, inputs, (held, moments))
        self._place_inverse(builder, struct, moments, inverses)
        self._place_scale(builder, struct, (held, inverses), output)

    def _place_moments(
        self, builder: Builder, struct: str, sources: tuple[str, ...], results: tuple[str, str]
    ) -> None:
        builder.unit_config(
            f"{struct}Moments",
            "moments of every row",
            self.runs,
            [self._moments(i) for i in range(len(self.runs))],
            NormMomentsRow(),
            (LANES, INPUT, self._sum_type, self._square_type),
        )
        builder.process("norm_moments", f"{struct}Moments", *sources, *results)

    def _place_inverse(self, builder: Builder, struct: str, source: str, result: str) -> None:
        builder.unit_config(
            f"{struct}Inverse",
            "reciprocal root of the variance of every row",
            self.runs,
            [self._inverse(i) for i in range(len(self.runs))],
            NormInverseRow(),
            (
                Constant("kRootBits", str(self._root_bits)),
                Constant("kRadicandBits", str(max(one.radicand_bits for one in self.numbers))),
                self._sum_type,
                self._square_type,
                Constant.integer("radicand_t", self._radicand_bits),
                self._inverse_type,
            ),
        )
        builder.process("norm_inverse", f"{struct}Inverse", source, result)

    def _place_scale(self, builder: Builder, struct: str, sources: tuple[str, str], result: str) -> None:
        builder.unit_config(
            f"{struct}Scale",
            "scaling, gamma and beta, rounding, clamp",
            self.runs,
            self._scale(),
            NormScaleRow(),
            (
                LANES,
                Constant("kEntries", str(self._entries), "of gamma, and of beta"),
                INPUT,
                self._sum_type,
                self._inverse_type,
                Constant.integer("product_t", self._product_bits),
                Constant.integer("gamma_t", GAMMA_BITS),
                Constant.integer("beta_t", BETA_BITS),
                Constant.integer("total_t", self._total_bits),
                OUTPUT,
            ),
        )
        gammas, betas = (
            builder.parameter(
                f"{builder.ids[self.name]}_{role}s",
                f"vec<{struct}Scale::{role}_t, kWordLanes>",
                f"{struct}Scale::kEntries",
                self._blocks(role),
                width,
            )
            for role, width in (("gamma", 2), ("beta", 4))
        )
        builder.process("norm_scale", f"{struct}Scale", *sources, gammas, betas, result)

    def stages(self, phase: int) -> list[Stage]:
        """One process that sees a whole row before its moments are known, and two that do not."""
        index = index_of(self.runs, phase)
        row = self._words[index]
        words = self._pixels(index) * row
        return [
            Stage("norm_moments", words, (Steps.even(words),), after_rows(words, row)),
            row_by_row("norm_inverse", words, row),
            Stage.passing("norm_scale", words),
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Four products per lane (the square, n times x, the inverse, gamma), the root and the division once."""
        channel_bits = max(one.channels for one in self.numbers).bit_length()
        multipliers = (
            dsp_of_product(element_bits, element_bits)
            + dsp_of_product(element_bits, channel_bits)
            + dsp_of_product(self._sum_bits + channel_bits, self._inverse_bits)
            + dsp_of_product(max(one.z_bits for one in self.numbers) + 1, GAMMA_BITS)
        )
        root = self._root_bits * self._radicand_bits
        logic = Resources(
            dsp=lanes * multipliers
            + dsp_of_product(self._square_bits, channel_bits)
            + dsp_of_product(*[self._sum_bits] * 2),
            bram18=0,
            uram=0,
            lut=lanes * (2 * self._square_bits + 3 * self._product_bits + 3 * self._total_bits)
            + 3 * root
            + 900,
            ff=lanes * (2 * self._square_bits + 3 * self._product_bits + 3 * self._total_bits)
            + 4 * root
            + 900,
        )
        parameters = (memory(one.bits, one.entries) for one in self.memories)
        return add(logic, memory(lanes * element_bits, self._held), *parameters)

    @property
    def memories(self) -> tuple[UnitMemory, ...]:
        """Gamma and beta."""
        return (
            UnitMemory("gammas", self.lanes * GAMMA_BITS, self._entries),
            UnitMemory("betas", self.lanes * BETA_BITS, self._entries),
        )

    @property
    def _words(self) -> tuple[int, ...]:
        """Words of a row of each task."""
        return tuple(groups(one.channels, self.lanes) for one in self.numbers)

    @property
    def _entries(self) -> int:
        return sum(self._words)

    @property
    def _held(self) -> int:
        return max(self._words) + _LATENCY

    @property
    def _root_bits(self) -> int:
        return max(one.root_bits for one in self.numbers)

    @property
    def _sum_bits(self) -> int:
        return max((one.channels * one.magnitude).bit_length() for one in self.numbers) + 1

    @property
    def _sum_type(self) -> Constant:
        return Constant.integer("sum_t", self._sum_bits)

    @property
    def _square_type(self) -> Constant:
        return Constant.integer("square_t", self._square_bits)

    @property
    def _inverse_type(self) -> Constant:
        return Constant.integer("inverse_t", self._inverse_bits)

    @property
    def _square_bits(self) -> int:
        return max((one.channels * one.magnitude**2).bit_length() for one in self.numbers) + 1

    @property
    def _inverse_bits(self) -> int:
        return self._root_bits + 3

    @property
    def _radicand_bits(self) -> int:
        return max(*(one.radicand_bits for one in self.numbers), 2 * self._root_bits + 1) + 1

    @property
    def _product_bits(self) -> int:
        return max(one.product_bits for one in self.numbers) + 1

    @property
    def _total_bits(self) -> int:
        outputs = (self.graph.output_tensor(run.task).number.bits for run in self.runs)
        return max(*outputs, *(max(one.result_bits, one.shift) for one in self.numbers)) + 2

    def _pixels(self, index: int) -> int:
        return self.graph.output_tensor(self.runs[index].task).pixels

    def _moments(self, index: int) -> NormMomentsRow:
        numbers, words = self.numbers[index], self._words[index]
        return NormMomentsRow(self._pixels(index) * words, words, numbers.channels, numbers.centre)

    def _inverse(self, index: int) -> NormInverseRow:
        one = self.numbers[index]
        pixels = self._pixels(index)
        return NormInverseRow(pixels, one.channels, one.guard, one.epsilon, one.root_bits, one.base_shift)

    def _scale(self) -> list[NormScaleRow]:
        """Rows of all tasks, whose gammas and betas lie one after the other."""
        rows: list[NormScaleRow] = []
        entry = 0
        for index, one in enumerate(self.numbers):
            words = self._words[index]
            iterations = self._pixels(index) * words
            rows.append(
                NormScaleRow(
                    iterations,
                    words,
                    one.channels,
                    entry,
                    one.beta_shift,
                    one.shift,
                    one.zero,
                    one.low,
                    one.high,
                )
            )
            entry += words
        return rows

    def _blocks(self, role: str) -> list[Integers]:
        """Entries of gamma or beta; padding is 0, so that padded lanes give 0."""
        return [pack_biases([run.task.values[role]], self.lanes) for run in self.runs]


def build_norm(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> NormHardware:
    """Sizes a norm unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    return NormHardware(unit, tuple(runs), graph, tuple(_numbers(graph, run.task) for run in runs), lanes)


def _numbers(graph: TaskGraph, task: Task) -> NormNumbers:
    work_of(graph, task, NormWork, "a norm unit")
    return NormNumbers.of_array(task.values["numbers"])


NORM = UnitKind("norm", NormWork, build_norm)

"""The interpolation unit: a function of single elements of 13 to 16 bits by straight lines, a word of elements per cycle.

As in the table unit, every lane looks up entries of its own, so there is a copy of the memories for every two lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ...arithmetic.interpolation import FRACTION, SECTION_BITS, SHIFT_BITS, SLOPE_BITS
from ...board import Resources
from ...fixed_point import Integers
from ...schedule.plan import Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import LinesWork
from ..builder import Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, words_of, work_of
from ..identifiers import camel_case
from ..resources import add, dsp_of_product, memory
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage
from .kind import UnitKind

_BASE_BITS = 32
_OFFSET_BITS = 10


@dataclass(frozen=True)
class InterpolateRow(Row):
    """interpolate.hpp: words to compute, and which sections and segments."""

    struct: ClassVar[str] = "interpolate_row"
    header: ClassVar[str] = "interpolate.hpp"

    words: int = 0
    mask: int = 0
    shift: int = 0
    section: int = 0
    segment: int = 0


@dataclass(frozen=True, eq=False)
class InterpolationHardware(Hardware):
    """An interpolation unit with the rows of its tasks, in the order of `runs`, and one task for each set of lines."""

    rows: tuple[InterpolateRow, ...]
    different: tuple[Task, ...]

    @property
    def segments(self) -> int:
        """Segments of all tasks."""
        return sum(map(len, self._values("bases")))

    @property
    def sections(self) -> int:
        """Sections of all tasks."""
        return len(self.different) << SECTION_BITS

    @property
    def _section_bits(self) -> int:
        """Bits of a section's entry, with a sign."""
        return max(int(values.max()) for values in self._values("sections")).bit_length() + 1

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process and its memories."""
        name = builder.ids[self.name]
        struct = f"{camel_case(name)}Interpolation"
        builder.unit_config(
            struct,
            "functions of single elements, by straight lines",
            self.runs,
            self.rows,
            InterpolateRow(),
            (
                LANES,
                Constant("kSections", str(self.sections), "of all functions"),
                Constant("kSegments", str(self.segments), "of all functions"),
                Constant("kCopies", "(kLanes + 1) / 2", "one for every two lanes"),
                Constant("kFraction", str(FRACTION)),
                Constant("kShiftBits", str(SHIFT_BITS)),
                Constant.integer("section_t", self._section_bits),
                Constant.integer("base_t", _BASE_BITS),
                Constant.integer("slope_t", SLOPE_BITS),
                INPUT,
                OUTPUT,
            ),
        )
        memories = [
            builder.parameter(
                f"{name}_{role}",
                f"{struct}::{role[:-1]}_t",
                f"{struct}::{size}",
                [values.reshape(-1, 1) for values in self._values(role)],
                4,
                f"{struct}::kCopies",
            )
            for role, size in (("sections", "kSections"), ("bases", "kSegments"), ("slopes", "kSegments"))
        ]
        builder.process("interpolate", struct, *inputs, *memories, output)

    def stages(self, phase: int) -> list[Stage]:
        """One pass over the words."""
        words = self.rows[index_of(self.runs, phase)].words
        return [Stage.passing("interpolate", words)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """The copies of the memories, and for each lane two addresses, a product and a sum."""
        address_bits = self.segments.bit_length()
        logic = Resources(
            dsp=lanes * dsp_of_product(SLOPE_BITS, _OFFSET_BITS),
            bram18=0,
            uram=0,
            lut=lanes * (3 * element_bits + 2 * address_bits + _BASE_BITS) + 150,
            ff=lanes * (3 * element_bits + 2 * address_bits + 2 * _BASE_BITS) + 150,
        )
        copies = (
            memory(self._section_bits, self.sections),
            memory(_BASE_BITS, self.segments),
            memory(SLOPE_BITS, self.segments),
        )
        return add(logic, *copies * ceil(lanes / 2))

    def _values(self, role: str) -> list[Integers]:
        return [task.values[role] for task in self.different]


def build_interpolation(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> InterpolationHardware:
    """Sizes an interpolation unit for its runs.

    Raises:
        ScheduleError: a task is of another kind.
    """
    rows = []
    places: dict[tuple[bytes, ...], tuple[int, int]] = {}
    different: list[Task] = []
    segment = 0
    for run in runs:
        work_of(graph, run.task, LinesWork, "an interpolation unit")
        values = run.task.values
        content = tuple(values[role].tobytes() for role in ("sections", "bases", "slopes"))
        if content not in places:
            places[content] = len(different) << SECTION_BITS, segment
            different.append(run.task)
            segment += len(values["bases"])
        bits = int(values["bits"])
        words = words_of(graph, run.task.output, lanes)
        rows.append(InterpolateRow(words, (1 << bits) - 1, bits - SECTION_BITS, *places[content]))
    return InterpolationHardware(unit, tuple(runs), tuple(rows), tuple(different))


INTERPOLATION = UnitKind("interpolation", LinesWork, build_interpolation)

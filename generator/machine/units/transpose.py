"""The transpose unit: exchanges channels with pixels, a word per cycle, where a move would take an element per cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...arithmetic.requantisation import requantisation
from ...board import Resources
from ...schedule.plan import Unit, Weights
from ...task_graph import UNBOUNDED, TaskGraph
from ...work import TransposeWork
from ..builder import Builder
from ..constants import INPUT, LANES, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import memory
from ..rows import IrregularNestRow, NestRow, Row
from ..run import Run, index_of
from ..stage import Stage, Steps
from .kind import UnitKind
from .nest_rows import IDLE, nest_dims, nest_rows
from .transpose_plan import TransposePlan, plan_transpose


@dataclass(frozen=True)
class TransposeRow(Row):
    """transpose.hpp: strips of words, and where they come from."""

    struct: ClassVar[str] = "transpose_row"
    header: ClassVar[str] = "transpose.hpp"

    iterations: int
    strips: int
    depth: int
    width: int
    slot: int
    low: int
    high: int
    source: NestRow | IrregularNestRow

    @property
    def argument(self) -> str:
        """The kind of nest."""
        return self.source.type


@dataclass(frozen=True)
class TransposeHardware(Hardware):
    """A transpose unit with the plans of its tasks, in the order of `runs`; `bounds` are those of the results, raw."""

    plans: tuple[TransposePlan, ...]
    bounds: tuple[tuple[int, int], ...]
    clamps: bool

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process."""
        struct = f"{camel_case(builder.ids[self.name])}Transpose"
        (*nests, idle), steps = nest_rows([*(plan.nest for plan in self.plans), IDLE])
        rows = [
            TransposeRow(plan.iterations, plan.strips, plan.depth, plan.width, plan.slot, low, high, nest)
            for plan, (low, high), nest in zip(self.plans, self.bounds, nests, strict=True)
        ]
        builder.unit_config(
            struct,
            "channels exchanged with pixels",
            self.runs,
            rows,
            TransposeRow(0, 0, 0, 1, 1, 0, 0, idle),
            (
                LANES,
                Constant("kEntries", str(self._entries), "of one strip in a bank"),
                Constant.flag("kClamps", self.clamps),
                INPUT,
            ),
            steps,
        )
        builder.process("transpose", struct, *inputs, output)

    def stages(self, phase: int) -> list[Stage]:
        """A word per iteration; a strip has come before its result leaves."""
        plan = self.plans[index_of(self.runs, phase)]
        last = (plan.strips - 1) * plan.slot
        reads = Steps.of((1, 1), (plan.depth, plan.depth), (plan.nest.steps, last + plan.depth))
        writes = Steps.of(
            (1, plan.slot + 1),
            (plan.result_words, plan.slot + plan.result_words),
            (plan.strips * plan.result_words, plan.iterations),
        )
        return [Stage("transpose", plan.iterations, (reads,), writes)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Two rotations by any number of lanes, two strips in a bank for each lane, and counters."""
        word = lanes * element_bits
        rotation = 2 * word * max(lanes.bit_length() - 1, 1)
        bounds = word if self.clamps else 0
        counters = 70 * nest_dims([plan.nest for plan in self.plans])
        bank = memory(element_bits, 2 * self._entries)
        return Resources(
            dsp=0,
            bram18=lanes * bank.bram18,
            uram=0,
            lut=rotation + 2 * word + bounds + counters + lanes * (bank.lut + 12),
            ff=4 * word + counters + lanes * bank.ff,
        )

    @property
    def _entries(self) -> int:
        return max(plan.result_words for plan in self.plans)


def build_transpose(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> TransposeHardware:
    """Plans the transposes of a unit.

    Raises:
        ScheduleError: a task is of another kind, or its values follow no nest of counters.
    """
    works = [work_of(graph, run.task, TransposeWork, "a transpose unit") for run in runs]
    found = [requantisation(graph, run.task) for run in runs]
    return TransposeHardware(
        unit,
        tuple(runs),
        tuple(plan_transpose(work, lanes) for work in works),
        tuple((one.low, one.high) for one in found),
        any(run.task.clamp != UNBOUNDED for run in runs),
    )


TRANSPOSE = UnitKind("transpose", TransposeWork, build_transpose)

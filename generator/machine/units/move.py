"""The move unit: puts values in another order, piece by piece, while its feed walks over memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...arithmetic.requantisation import requantisation
from ...board import Resources
from ...ops.move import Move
from ...schedule.plan import Unit, Weights
from ...task_graph import UNBOUNDED, Task, TaskGraph
from ...work import MoveWork
from ..builder import Builder
from ..constants import INPUT, LANES, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add, memory
from ..rows import IrregularNestRow, NestRow, Row
from ..run import Run, index_of
from ..stage import Stage, Steps
from .kind import UnitKind
from .move_plan import MovePlan, plan_move
from .nest_rows import IDLE, nest_dims, nest_rows

_STEP_BITS = 24
"""Of an entry of a table of steps: addresses of elements are below 2**23."""


@dataclass(frozen=True)
class MoveRow(Row):
    """move.hpp: pieces of words, and where they come from."""

    struct: ClassVar[str] = "move_row"
    header: ClassVar[str] = "move.hpp"

    iterations: int
    pieces: int
    piece: int
    last: int
    fill: int
    spread: int
    low: int
    high: int
    source: NestRow | IrregularNestRow

    @property
    def argument(self) -> str:
        """The kind of nest."""
        return self.source.type


@dataclass(frozen=True)
class MoveHardware(Hardware):
    """A move unit with the plans of its tasks, in the order of `runs`.

    `fills` stand where a result has no source, and `bounds` are those of the results, both raw.
    """

    plans: tuple[MovePlan, ...]
    fills: tuple[int, ...]
    bounds: tuple[tuple[int, int], ...]
    clamps: bool
    lanes: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process."""
        struct = f"{camel_case(builder.ids[self.name])}Move"
        (*nests, idle), steps = nest_rows([*(plan.nest for plan in self.plans), IDLE])
        rows = [
            MoveRow(plan.nest.steps, plan.pieces, plan.piece, plan.last, fill, plan.spread, low, high, nest)
            for plan, fill, (low, high), nest in zip(self.plans, self.fills, self.bounds, nests, strict=True)
        ]
        builder.unit_config(
            struct,
            "values in another order",
            self.runs,
            rows,
            MoveRow(0, 0, 0, 0, 0, 0, 0, 0, idle),
            (
                LANES,
                Constant(
                    "kSpread", str(max(plan.spread for plan in self.plans)), "most of all, as a power of two"
                ),
                Constant.flag("kClamps", self.clamps),
                INPUT,
            ),
            steps,
        )
        builder.process("move", struct, *inputs, output)

    def stages(self, phase: int) -> list[Stage]:
        """A piece per iteration."""
        index = index_of(self.runs, phase)
        plan = self.plans[index]
        per_pixel = -(-plan.pieces * plan.piece // self.lanes)
        words = plan.nest.steps // plan.pieces * per_pixel
        return [
            Stage(
                "move",
                plan.nest.steps,
                (_spread(plan.nest.sourced, plan.nest.steps),),
                _spread(words, plan.nest.steps),
            )
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """A rotation by any number of lanes, a word of registers, and counters.

        Its feed has a table of steps as well.
        """
        word = lanes * element_bits
        rotation = word * max(lanes.bit_length() - 1, 1)
        nests = [plan.nest for plan in self.plans]
        counters = 70 * nest_dims(nests)
        bounds = word if self.clamps else 0
        logic = Resources(
            dsp=0, bram18=0, uram=0, lut=rotation + 2 * word + bounds + counters, ff=3 * word + counters
        )
        entries = sum(nest.table_entries for nest in nests)
        return add(logic, *[memory(_STEP_BITS, entries)] * 2) if entries else logic


def _spread(words: int, steps: int) -> Steps:
    """So many words, the last of them in the last step."""
    return Steps.even(max(words, 1), steps / max(words, 1), steps // max(words, 1))


def build_move(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> MoveHardware:
    """Plans the moves of a unit.

    Raises:
        ScheduleError: a task is of another kind, or its values follow no nest of counters.
    """
    tasks = [run.task for run in runs]
    return MoveHardware(
        unit,
        tuple(runs),
        tuple(plan_move(_work(graph, task), lanes) for task in tasks),
        tuple(_fill(graph, task) for task in tasks),
        tuple((found.low, found.high) for found in (requantisation(graph, task) for task in tasks)),
        any(task.clamp != UNBOUNDED for task in tasks),
        lanes,
    )


def _fill(graph: TaskGraph, task: Task) -> int:
    assert isinstance(task.operator, Move)
    return int(task.operator.fill) + graph.input_tensors(task)[0].number.zero


def _work(graph: TaskGraph, task: Task) -> MoveWork:
    return work_of(graph, task, MoveWork, "a move unit")


MOVE = UnitKind("move", MoveWork, build_move)

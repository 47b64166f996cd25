"""The move unit: puts values in another order, piece by piece, while its feed walks over memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..board import Resources
from ..nest import Nest
from ..schedule.plan import ScheduleError, Unit, Weights
from ..task_graph import Task, TaskGraph
from ..work import MoveWork
from .builder import Builder
from .hardware import Stage
from .identifiers import camel_case
from .machine import Constant
from .move_plan import MovePlan, plan_move
from .rows import MoveRow, NestRow
from .run import Run, index_of
from .unit_kind import UnitKind


@dataclass(frozen=True)
class MoveHardware:
    """A move unit with the plans of its tasks, in the order of `runs`; `fills` stand where a result has no source."""

    unit: Unit
    runs: tuple[Run, ...]
    plans: tuple[MovePlan, ...]
    fills: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the unit."""
        return self.unit.name

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the one process."""
        struct = f"{camel_case(builder.ids[self.name])}Move"
        dims = nest_dims(self.plans)
        rows = [
            MoveRow(plan.nest.steps, plan.pieces, plan.piece, plan.last, fill, nest_row(plan.nest, dims))
            for plan, fill in zip(self.plans, self.fills, strict=True)
        ]
        builder.config(
            struct,
            "values in another order",
            builder.by_phase(self.runs, rows, MoveRow(0, 0, 0, 0, 0, idle_nest(dims))),
            builder.comment(self.runs),
            (
                Constant("kLanes", "kWordLanes"),
                Constant("input_t", "element_t", is_type=True),
            ),
        )
        builder.process("move", struct, *inputs, output)

    def stages(self, phase: int) -> list[Stage]:
        """A piece per iteration."""
        plan = self.plans[index_of(self.runs, phase)]
        return [Stage("move", plan.nest.steps, plan.nest.sourced)]

    def loaded_bytes(self, phase: int) -> int:
        """None: it has no weights."""
        return 0

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """A rotation by any number of lanes, a word of registers, and counters."""
        word = lanes * element_bits
        rotation = word * max(lanes.bit_length() - 1, 1)
        counters = 70 * nest_dims(self.plans)
        return Resources(dsp=0, bram18=0, uram=0, lut=rotation + 2 * word + counters, ff=3 * word + counters)


def nest_dims(plans: Sequence[MovePlan]) -> int:
    """Counters that the longest of the nests needs."""
    return max((len(plan.nest.digits) for plan in plans), default=1) or 1


def nest_row(nest: Nest, dims: int) -> NestRow:
    """The nest for so many counters, innermost first, with the address step of each instead of its stride."""
    digits = [*reversed(nest.digits), *[(1, 0, 0, 1)] * (dims - len(nest.digits))]
    steps = []
    rewind = 0  # of all counters inside, when they start again
    for extent, stride, _, _ in digits:
        steps.append(stride - rewind)
        rewind += stride * (extent - 1)
    extents, _, lows, highs = zip(*digits, strict=True)
    return NestRow(nest.offset, extents, tuple(steps), lows, highs)


def idle_nest(dims: int) -> NestRow:
    """A nest of no steps."""
    return nest_row(Nest(0, ()), dims)


def build_move(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> MoveHardware:
    """Plans the moves of a unit.

    Raises:
        ScheduleError: a task is of another kind, or its values follow no nest of counters.
    """
    return MoveHardware(
        unit,
        tuple(runs),
        tuple(plan_move(_work(graph, run.task), lanes) for run in runs),
        tuple(graph.input_tensors(run.task)[0].number.zero for run in runs),
    )


def _work(graph: TaskGraph, task: Task) -> MoveWork:
    work = task.operator.work(task, graph)
    if not isinstance(work, MoveWork):
        raise ScheduleError(f"task {task.name!r} ({task.operator.name}) cannot run on a move unit")
    return work


MOVE = UnitKind("move", MoveWork, build_move)

"""The pool unit: window -> pool. A word of channels per cycle, no multipliers but for means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ...arithmetic.accumulator_bound import accumulator_bound
from ...arithmetic.requantisation import requantisation
from ...board import Resources
from ...fixed_point import FixedPoint, Rounding
from ...schedule.plan import ScheduleError, Unit, Weights
from ...task_graph import Task, TaskGraph
from ...work import PoolWork, Reduction
from ..builder import Builder
from ..constants import INPUT, LANES, OUTPUT, Constant
from ..hardware import Hardware, work_of
from ..identifiers import camel_case
from ..resources import add
from ..rows import Row
from ..run import Run, index_of
from ..stage import Stage, Steps
from .kind import UnitKind
from .window_process import WindowProcess, size_window


@dataclass(frozen=True)
class PoolRow(Row):
    """pool.hpp: reduction over the positions of a window."""

    struct: ClassVar[str] = "pool_row"
    header: ClassVar[str] = "pool.hpp"

    iterations: int = 0
    positions: int = 0
    mean: bool = False
    left: int = 0
    divisor: int = 1
    reciprocal: int = 1
    shift: int = 0
    low: int = 0
    high: int = 0
    offset: int = 0
    zero: int = 0


@dataclass(frozen=True)
class PoolHardware(Hardware):
    """A pool unit with the rows of its tasks, in the order of `runs`."""

    window: WindowProcess
    pools: tuple[PoolRow, ...]
    total_bits: int
    reciprocal_bits: int
    product_bits: int

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds window and pool."""
        struct = camel_case(builder.ids[self.name])
        patches = self.window.place(builder, self.name, self.runs, inputs[0])
        means = [row.mean for row in self.pools]
        builder.unit_config(
            f"{struct}Pool",
            "maximum or mean over a window",
            self.runs,
            self.pools,
            PoolRow(),
            (
                LANES,
                Constant.flag("kMean", any(means)),
                Constant.flag("kMax", not all(means)),
                Constant.flag("kScaled", any(row.divisor == 0 for row in self.pools)),
                INPUT,
                OUTPUT,
                Constant.integer("total_t", self.total_bits, "never wraps: range analysis"),
                Constant.integer("reciprocal_t", self.reciprocal_bits),
                Constant.integer("product_t", self.product_bits),
            ),
        )
        builder.process("pool", f"{struct}Pool", patches, output)

    def stages(self, phase: int) -> list[Stage]:
        """Window and pool."""
        index = index_of(self.runs, phase)
        row = self.pools[index]
        return [
            *self.window.stage(index),
            Stage(
                "pool",
                row.iterations,
                (Steps.even(row.iterations),),
                Steps.even(row.iterations // row.positions, row.positions, row.positions),
            ),
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Comparators; for means also adders and the two products of the exact division."""
        mean = any(row.mean for row in self.pools)
        products = ceil(self.total_bits / 17) * ceil(self.reciprocal_bits / 24) + 1
        own = Resources(
            dsp=lanes * products if mean else 0,
            bram18=0,
            uram=0,
            lut=lanes * self.total_bits * (6 if mean else 3) + 300,
            ff=lanes * self.total_bits * (8 if mean else 3) + 400,
        )
        return add(own, self.window.resources(lanes, element_bits))


def build_pool(
    graph: TaskGraph, unit: Unit, runs: Sequence[Run], lanes: int, weights: Weights
) -> PoolHardware:
    """Sizes a pool unit for its runs.

    Raises:
        ScheduleError: a task is of another kind, or a mean needs more than 63 bits.
    """
    tasks = [run.task for run in runs]
    works = [_work(graph, task) for task in tasks]
    window = size_window(
        works,
        [
            _padding(graph.input_tensors(task)[0].number, work)
            for task, work in zip(tasks, works, strict=True)
        ],
        lanes,
        [run.pace for run in runs],
    )
    rows = tuple(
        _row(graph, task, work, plan.words)
        for task, work, plan in zip(tasks, works, window.patches, strict=True)
    )
    bounds = [accumulator_bound(graph, task) << row.left for task, row in zip(tasks, rows, strict=True)]
    element_bits = max(graph.output_tensor(task).number.bits for task in tasks)
    means = [(row, bound) for row, bound in zip(rows, bounds, strict=True) if row.mean]
    return PoolHardware(
        unit=unit,
        runs=tuple(runs),
        window=window,
        pools=rows,
        # Signed: one bit more than the magnitude, and one more for twice a remainder; the clamp's bounds fit as well.
        total_bits=max(max([*bounds, *(row.divisor for row, _ in means)]).bit_length(), element_bits) + 2,
        reciprocal_bits=max((row.reciprocal for row, _ in means), default=1).bit_length() + 1,
        product_bits=max((row.reciprocal * bound for row, bound in means), default=1).bit_length() + 2,
    )


def _work(graph: TaskGraph, task: Task) -> PoolWork:
    return work_of(graph, task, PoolWork, "a pool unit")


def _row(graph: TaskGraph, task: Task, work: PoolWork, patch_words: int) -> PoolRow:
    found = requantisation(graph, task)
    iterations, positions = work.pixels * patch_words, work.window.positions
    if work.reduction is Reduction.MAX:
        return PoolRow(iterations, positions, low=found.low, high=found.high)
    if found.rounding is not Rounding.HALF_EVEN:
        raise ScheduleError(
            f"task {task.name!r} ({task.operator.name}) rounds by {found.rounding.name}. Supported for means: half to even"
        )
    left, divisor = found.left, found.divisor << found.right
    if found.scaled:
        left, divisor, reciprocal, shift = 0, 0, found.multipliers[0], found.right
    else:
        reciprocal, shift = invariant_reciprocal(divisor, accumulator_bound(graph, task) << left)
    offset = -positions * graph.input_tensors(task)[0].number.zero
    return PoolRow(
        iterations,
        positions,
        True,
        left,
        divisor,
        reciprocal,
        shift,
        found.low,
        found.high,
        offset,
        found.zero,
    )


def _padding(number: FixedPoint, work: PoolWork) -> int:
    """Padding never is the maximum, and counts as zeros in a mean."""
    return number.minimum if work.reduction is Reduction.MAX else number.zero


def invariant_reciprocal(divisor: int, bound: int) -> tuple[int, int]:
    """(m, s) with n // divisor == (n * m) >> s for all 0 <= n <= bound.

    With m = ceil(2**s / divisor), n * m / 2**s exceeds n / divisor by less than n / 2**s; that never reaches
    the next multiple of 1 / divisor if bound * divisor < 2**s (Granlund and Montgomery, PLDI 1994).

    Raises:
        ScheduleError: the product does not fit 63 bits.
    """
    shift = bound.bit_length() + divisor.bit_length()
    reciprocal = -(-(1 << shift) // divisor)
    if (bound * reciprocal).bit_length() > 62:
        raise ScheduleError(f"a mean over sums up to {bound} with divisor {divisor} needs more than 63 bits")
    return reciprocal, shift


POOL = UnitKind("pool", PoolWork, build_pool)

"""What each unit of the datapath must hold to run all the tasks that the schedule gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..fixed_point import Integers
from ..golden import accumulator_exponent, clamp_bounds
from ..schedule.plan import MacUnit, PoolUnit, Schedule, ScheduleError
from ..task_graph import Task, TaskGraph
from ..work import MacWork, PoolWork, Reduction
from .pack import pack_biases, pack_weights
from .rows import MacRow, PoolRow, PostRow
from .window import PatchPlan, Way, groups, plan_patches


@dataclass(frozen=True)
class WindowHardware:
    """Size of a unit's window process; absent fields are 0."""

    ways: tuple[Way, ...]
    lines: int
    line_words: int
    packed_columns: int
    packed_kernel: tuple[int, int]
    packed_channels: int


@dataclass(frozen=True, eq=False)
class MacHardware:
    """A mac unit with the memories and rows of its tasks, in the order of `tasks`."""

    unit: MacUnit
    tasks: tuple[str, ...]
    window: WindowHardware
    patches: tuple[PatchPlan, ...]
    macs: tuple[MacRow, ...]
    posts: tuple[PostRow, ...]
    weights: tuple[Integers, ...]
    biases: tuple[Integers, ...]
    weight_bits: int
    sum_bits: int

    @property
    def patch_words(self) -> int:
        """Longest patch, in words."""
        return max(row.words for row in self.macs)


@dataclass(frozen=True)
class PoolHardware:
    """A pool unit with the rows of its tasks, in the order of `tasks`."""

    unit: PoolUnit
    tasks: tuple[str, ...]
    window: WindowHardware
    patches: tuple[PatchPlan, ...]
    pools: tuple[PoolRow, ...]
    total_bits: int
    reciprocal_bits: int
    product_bits: int


UnitHardware = MacHardware | PoolHardware


def build_unit(graph: TaskGraph, schedule: Schedule, name: str) -> UnitHardware:
    """Sizes and rows of one unit."""
    unit = schedule.unit(name)
    tasks = tuple(
        graph.task(assignment.task)
        for phase in schedule.phases
        for assignment in phase.assignments
        if assignment.unit == name
    )
    if isinstance(unit, MacUnit):
        return _build_mac(graph, unit, tasks, schedule.lanes)
    return _build_pool(graph, unit, tasks, schedule.lanes)


def sum_bits(graph: TaskGraph, task: Task) -> int:
    """Bits of a signed accumulator that never wraps, with room for the rounding addend."""
    return accumulator_bound(graph, task).bit_length() + 2


def accumulator_bound(graph: TaskGraph, task: Task) -> int:
    """Largest |accumulator| over all inputs that the formats allow."""
    inputs = graph.input_tensors(task)
    magnitudes = [max(-tensor.number.minimum, tensor.number.maximum) for tensor in inputs]
    return task.operator.accumulator_bound(magnitudes, task.values, inputs)


def output_words(graph: TaskGraph, task: Task, lanes: int) -> int:
    """Words of a task's result."""
    tensor = graph.output_tensor(task)
    return tensor.pixels * groups(tensor.channels, lanes)


def mac_steps(outputs: int, channels: int, lanes: int) -> tuple[int, int]:
    """Folds, and steps of the post process, per pixel."""
    folds = -(-channels // outputs)
    return folds, folds if outputs < lanes else groups(channels, lanes)


def _build_mac(graph: TaskGraph, unit: MacUnit, tasks: Sequence[Task], lanes: int) -> MacHardware:
    works = [_mac_work(graph, task) for task in tasks]
    plans = _plan_all(works, [0] * len(works), lanes)
    macs, posts, weights, biases = [], [], [], []
    weight_entry = bias_entry = 0
    for task, work, plan in zip(tasks, works, plans, strict=True):
        folds, steps = mac_steps(unit.outputs, work.outputs, lanes)
        iterations = work.pixels * folds * plan.words
        macs.append(MacRow(iterations=iterations, folds=folds, words=plan.words, weights=weight_entry))
        output = graph.output_tensor(task).number
        low, high = clamp_bounds(task, output)
        shift = output.exponent - accumulator_exponent(graph, task)
        posts.append(PostRow(work.pixels * steps, steps, bias_entry, shift, low, high))
        entries = pack_weights(task.operator.weights_by_position(task, graph), plan.way, lanes, unit.outputs)
        weights.append(entries)
        weight_entry += len(entries)
        biases.append(pack_biases(task.values["bias"], lanes))
        bias_entry += len(biases[-1])
    return MacHardware(
        unit=unit,
        tasks=tuple(task.name for task in tasks),
        window=_window_hardware(plans, works),
        patches=tuple(plans),
        macs=tuple(macs),
        posts=tuple(posts),
        weights=tuple(weights),
        biases=tuple(biases),
        weight_bits=max(task.parameters[r].number.bits for task in tasks for r in task.operator.weight_roles),
        sum_bits=max(sum_bits(graph, task) for task in tasks),
    )


def _mac_work(graph: TaskGraph, task: Task) -> MacWork:
    work = task.operator.work(task, graph)
    if not isinstance(work, MacWork):
        raise ScheduleError(f"task {task.name!r} ({task.operator.name}) cannot run on a mac unit")
    return work


def _build_pool(graph: TaskGraph, unit: PoolUnit, tasks: Sequence[Task], lanes: int) -> PoolHardware:
    works: list[PoolWork] = []
    paddings = []
    for task in tasks:
        work = task.operator.work(task, graph)
        if not isinstance(work, PoolWork):
            raise ScheduleError(f"task {task.name!r} ({task.operator.name}) cannot run on a pool unit")
        works.append(work)
        number = graph.input_tensors(task)[0].number
        paddings.append(number.minimum if work.reduction is Reduction.MAX else 0)
    plans = _plan_all(works, paddings, lanes)
    rows = tuple(_pool_row(graph, task, work, plan.words) for task, work, plan in zip(tasks, works, plans, strict=True))
    means = [(row, accumulator_bound(graph, task)) for row, task in zip(rows, tasks, strict=True) if row.mean]
    largest = max(accumulator_bound(graph, task) for task in tasks)
    return PoolHardware(
        unit=unit,
        tasks=tuple(task.name for task in tasks),
        window=_window_hardware(plans, works),
        patches=tuple(plans),
        pools=rows,
        # Signed: one bit more than the magnitude, and one more for twice a remainder.
        total_bits=max([largest, *(row.divisor for row, _ in means)]).bit_length() + 2,
        reciprocal_bits=max((row.reciprocal for row, _ in means), default=1).bit_length() + 1,
        product_bits=max((row.reciprocal * bound for row, bound in means), default=1).bit_length() + 1,
    )


def _pool_row(graph: TaskGraph, task: Task, work: PoolWork, patch_words: int) -> PoolRow:
    output = graph.output_tensor(task).number
    low, high = clamp_bounds(task, output)
    if work.reduction is Reduction.MAX:
        return PoolRow(work.pixels * patch_words, work.window.positions, low=low, high=high)
    divisor = work.divisor << (output.exponent - accumulator_exponent(graph, task))
    reciprocal, shift = invariant_reciprocal(divisor, accumulator_bound(graph, task))
    return PoolRow(
        iterations=work.pixels * patch_words,
        positions=work.window.positions,
        mean=True,
        divisor=divisor,
        reciprocal=reciprocal,
        shift=shift,
        low=low,
        high=high,
    )


def invariant_reciprocal(divisor: int, bound: int) -> tuple[int, int]:
    """(m, s) with n // divisor == (n * m) >> s for all 0 <= n <= bound.

    With m = ceil(2**s / divisor), n * m / 2**s exceeds n / divisor by less than n / 2**s; that never reaches the
    next multiple of 1 / divisor if bound * divisor < 2**s (Granlund and Montgomery, PLDI 1994).

    Raises:
        ScheduleError: the product does not fit 63 bits.
    """
    shift = bound.bit_length() + divisor.bit_length()
    reciprocal = -(-(1 << shift) // divisor)
    if (bound * reciprocal).bit_length() > 62:
        raise ScheduleError(f"a mean over sums up to {bound} with divisor {divisor} needs more than 63 bits")
    return reciprocal, shift


def _plan_all(works: Sequence[MacWork] | Sequence[PoolWork], paddings: Sequence[int], lanes: int) -> list[PatchPlan]:
    """Patch plans of a unit's tasks: the one packed geometry that saves most, and one line buffer for the others."""
    plans = [plan_patches(work, lanes, padding) for work, padding in zip(works, paddings, strict=True)]
    saved: dict[tuple[int, int, int], int] = {}
    for work, plan in zip(works, plans, strict=True):
        if plan.way is Way.PACKED and work.window is not None:
            shape = _packed_shape(work)
            saved[shape] = saved.get(shape, 0) + work.pixels * (work.window.positions - plan.words)
    kept = max(saved, key=lambda shape: (saved[shape], shape), default=None)
    plans = [
        plan if plan.way is not Way.PACKED or _packed_shape(work) == kept else plan_patches(work, lanes, 0, pack=False)
        for work, plan in zip(works, plans, strict=True)
    ]
    lines = max(plan.lines for plan in plans)
    return [
        plan_patches(work, lanes, padding, lines, pack=False) if plan.way is Way.ROWS else plan
        for work, padding, plan in zip(works, paddings, plans, strict=True)
    ]


def _packed_shape(work: MacWork | PoolWork) -> tuple[int, int, int]:
    assert work.window is not None
    return (*work.window.kernel, work.channels)


def _window_hardware(plans: Sequence[PatchPlan], works: Sequence[MacWork] | Sequence[PoolWork]) -> WindowHardware:
    rows = [plan for plan in plans if plan.way is Way.ROWS]
    packed = [(plan, work) for plan, work in zip(plans, works, strict=True) if plan.way is Way.PACKED]
    height, width, channels = _packed_shape(packed[0][1]) if packed else (0, 0, 0)
    return WindowHardware(
        ways=tuple(sorted({plan.way for plan in plans})),
        lines=max((plan.lines for plan in rows), default=0),
        line_words=max((plan.line_words for plan in rows), default=0),
        packed_columns=max((plan.line_words for plan, _ in packed), default=0),
        packed_kernel=(height, width),
        packed_channels=channels,
    )

"""Which form of circulant blocks an engine takes: the process that takes the place of mac, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from ...arithmetic.accumulator_bound import WIDEST
from ...circulant.blocks import BLOCKS, task_block
from ...circulant.exact import LARGEST, total_bound
from ...circulant.fft import Precision, Widths
from ...ops.spectral import Spectral
from ...per_graph import kept_per_graph
from ...schedule.plan import ScheduleError, Unit
from ...task_graph import Task, TaskGraph
from ...work import MacWork
from ..rows import Row
from .circulant_forms import DENSE, CirculantForm, DirectForm, ExactForm, FftForm
from .mac_process import MacRow
from .window import PatchPlan, Way


@dataclass(frozen=True)
class CirculantRow(Row):
    """circulant.hpp: passes over patches of words, and what of words and passes is padding."""

    struct: ClassVar[str] = "circulant_row"
    header: ClassVar[str] = "circulant.hpp"

    iterations: int = 0
    folds: int = 0
    words: int = 0
    weights: int = 0
    full: int = 0
    lanes: int = 0
    outputs: int = 0


@kept_per_graph
def block_of(graph: TaskGraph, task: Task) -> int:
    """Size of the circulant blocks of a task's weights; 1 for dense ones."""
    return task_block(graph, task)


@kept_per_graph
def spectral_widths(graph: TaskGraph, task: Task) -> Widths:
    """Range and error analysis of a task that is computed by spectra."""
    assert isinstance(task.operator, Spectral)
    source = graph.input_tensors(task)[0]
    return task.operator.widths(task.values, max(source.number.magnitude, -source.number.minimum), source)


def engine_of_blocks(graph: TaskGraph, task: Task) -> str:
    """Name of an engine for tasks with blocks like this one's; empty for dense weights."""
    operator = task.operator
    if isinstance(operator, Spectral):
        return f"fft{operator.block}_{operator.guard}"
    block = block_of(graph, task)
    return f"circulant{block}" if block > 1 else ""


def choose_form(
    graph: TaskGraph,
    tasks: Sequence[Task],
    works: Sequence[MacWork],
    plans: Sequence[PatchPlan],
    unit: Unit,
    lanes: int,
    sum_bits: int,
) -> CirculantForm | None:
    """The form that a unit of these tasks is told to have, or the cheapest; None if it is, or has to be, dense.

    All weights have to be circulant, in blocks of one size that divides words and passes. Tasks that are computed by
    spectra (ops/spectral.py) take `fft` and nothing else.

    Raises:
        ScheduleError: the unit cannot have the form, or cannot run its spectral tasks.
    """
    if any(isinstance(task.operator, Spectral) for task in tasks):
        return _fft(graph, tasks, works, plans, unit.outputs, lanes)
    if unit.form == DENSE:
        return None
    forms = possible_forms(graph, tasks, works, plans, unit.outputs, lanes, sum_bits)
    if not unit.form:
        return min(forms, key=lambda form: form.cost(unit.outputs, lanes), default=None)
    for form in forms:
        if form.label == unit.form:
            return form
    labels = ", ".join((DENSE, *(form.label for form in forms)))
    raise ScheduleError(f"unit {unit.name!r} can have no form {unit.form!r}. Supported: {labels}")


def obstacle(
    graph: TaskGraph,
    tasks: Sequence[Task],
    works: Sequence[MacWork],
    plans: Sequence[PatchPlan],
    outputs: int,
    lanes: int,
) -> str:
    """Why a unit of these tasks has to treat their weights as dense ones; empty if it need not."""
    sizes = {block_of(graph, task) for task in tasks}
    if len(sizes) != 1 or 1 in sizes:
        return "it also runs layers without circulant weights, or with blocks of another size"
    block = sizes.pop()
    if lanes % block or outputs % block:
        return f"words of {lanes} and passes of {outputs} channels hold no whole blocks of {block}"
    if any(_whole_words(work, plan, block) is None for work, plan in zip(works, plans, strict=True)):
        return f"blocks of {block} reach into padded channels between others"
    if any(graph.input_tensors(task)[0].number.zero for task in tasks):
        return "its inputs have a zero point"
    return ""


def possible_forms(
    graph: TaskGraph,
    tasks: Sequence[Task],
    works: Sequence[MacWork],
    plans: Sequence[PatchPlan],
    outputs: int,
    lanes: int,
    sum_bits: int,
) -> list[CirculantForm]:
    """The exact forms that a unit of these tasks can take."""
    if obstacle(graph, tasks, works, plans, outputs, lanes):
        return []
    block = block_of(graph, tasks[0])
    operands = [graph.input_tensors(task)[0].number for task in tasks]
    input_bits = max(number.bits for number in operands)
    weight_bits = max(task.parameters["weight"].number.bits for task in tasks)
    forms: list[CirculantForm] = [DirectForm(block, input_bits, weight_bits)]
    words = max(plan.words for plan in plans)
    for size in BLOCKS:
        if size <= min(block, LARGEST):
            terms = words * (lanes // size)
            bound = total_bound(size, 1 << (input_bits - 1), 1 << (weight_bits - 1), terms).bit_length() + 1
            if bound <= WIDEST:
                forms.append(ExactForm(block, input_bits, weight_bits, size, max(sum_bits, bound)))
    return forms


def _fft(
    graph: TaskGraph,
    tasks: Sequence[Task],
    works: Sequence[MacWork],
    plans: Sequence[PatchPlan],
    outputs: int,
    lanes: int,
) -> FftForm:
    """The form of a unit whose tasks are all computed by spectra."""
    operators = [task.operator for task in tasks]
    spectral = [operator for operator in operators if isinstance(operator, Spectral)]
    kinds = {(operator.block, operator.guard) for operator in spectral}
    if len(kinds) > 1 or len(spectral) < len(tasks):
        raise ScheduleError("layers computed by spectra need engines of their own, by size of block")
    block, guard = kinds.pop()
    if lanes % block or outputs % block:
        raise ScheduleError(f"spectra of {block} need words and passes of whole blocks")
    if any(_whole_words(work, plan, block) is None for work, plan in zip(works, plans, strict=True)):
        raise ScheduleError(f"words of {lanes} elements hold no whole blocks of {block}")
    inputs = [graph.input_tensors(task)[0] for task in tasks]
    found = [spectral_widths(graph, task) for task in tasks]
    return FftForm(
        block,
        max(tensor.number.bits for tensor in inputs),
        max(task.parameters["weight"].number.bits for task in tasks),
        Precision.of(block, guard),
        reduce(lambda left, right: left.joined(right), found),
        min(plan.words for plan in plans),
    )


def circulant_row(
    row: MacRow, work: MacWork, plan: PatchPlan, made: int, outputs: int, lanes: int, block: int
) -> CirculantRow:
    """The row of a task, of which the unit makes `made` output channels."""
    full = _whole_words(work, plan, block)
    assert full is not None
    last = made - (row.folds - 1) * outputs
    return CirculantRow(
        row.iterations, row.folds, row.words, row.weights, full, work.channels % lanes or lanes, last
    )


def _whole_words(work: MacWork, plan: PatchPlan, block: int) -> int | None:
    """Words of a patch before those with padded lanes, which have to be 0 here; None if they lie between others.

    Where channels are whole blocks, the columns of what is padded are 0.
    """
    if work.channels % block == 0:
        return plan.words
    if plan.way is Way.PACKED:
        return None
    positions = work.window.positions if work.window else work.in_pixels
    last_only = plan.way is Way.ROWS or positions == 1 or plan.words == positions
    return plan.words - positions if last_only else None

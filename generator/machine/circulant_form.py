"""Which form of circulant blocks a mac unit takes: the process that takes the place of mac, and its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import ClassVar

from ..accumulator_bound import WIDEST
from ..circulant import task_block
from ..circulant_exact import LARGEST, total_bound
from ..circulant_fft import Precision, Widths
from ..ops.spectral import SPECTRAL
from ..schedule.plan import ScheduleError
from ..task_graph import Task, TaskGraph
from ..work import MacWork
from .circulant_forms import DENSE, DIRECT, EXACT, CirculantForm, DirectForm, ExactForm, FftForm
from .rows import MacRow, Row
from .window import PatchPlan, Way

_allowed: ContextVar[tuple[str, ...]] = ContextVar("circulant_forms", default=(DENSE, DIRECT, EXACT))


@contextmanager
def allowed_forms(*names: str) -> Iterator[None]:
    """Units built meanwhile take only these forms, where their weights are circulant: to compare them."""
    token = _allowed.set(names)
    try:
        yield
    finally:
        _allowed.reset(token)


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


@lru_cache(maxsize=4096)
def block_of(graph: TaskGraph, task: Task) -> int:
    """Size of the circulant blocks of a task's weights; 1 for dense ones."""
    return task_block(graph, task)


@lru_cache(maxsize=1024)
def spectral_widths(graph: TaskGraph, task: Task) -> Widths:
    """Range and error analysis of a task that is computed by spectra."""
    assert isinstance(task.operator, SPECTRAL)
    source = graph.input_tensors(task)[0]
    return task.operator.widths(task.values, max(source.number.magnitude, -source.number.minimum), source)


def engine_of_blocks(graph: TaskGraph, task: Task) -> str:
    """Name of an engine for tasks with blocks like this one's; empty for dense weights."""
    operator = task.operator
    if isinstance(operator, SPECTRAL):
        return f"fft{operator.block}_{operator.guard}"
    block = block_of(graph, task)
    return f"circulant{block}" if block > 1 else ""


def choose_form(
    graph: TaskGraph,
    tasks: Sequence[Task],
    works: Sequence[MacWork],
    plans: Sequence[PatchPlan],
    outputs: int,
    lanes: int,
    sum_bits: int,
) -> CirculantForm | None:
    """The cheaper form for a unit of these tasks, in DSPs and LUTs; None if it has to be dense.

    All weights have to be circulant, in blocks of one size that divides words and passes. Every form has the same
    cycles. Tasks that are computed by spectra (ops/spectral.py) take `fft` and nothing else.

    Raises:
        ScheduleError: the unit cannot run its spectral tasks.
    """
    if any(isinstance(task.operator, SPECTRAL) for task in tasks):
        return _fft(graph, tasks, works, plans, outputs, lanes)
    return min(
        possible_forms(graph, tasks, works, plans, outputs, lanes, sum_bits),
        key=lambda form: form.cost(outputs, lanes),
        default=None,
    )


def possible_forms(
    graph: TaskGraph,
    tasks: Sequence[Task],
    works: Sequence[MacWork],
    plans: Sequence[PatchPlan],
    outputs: int,
    lanes: int,
    sum_bits: int,
) -> list[CirculantForm]:
    """The exact forms that a unit of these tasks can take, of those allowed."""
    sizes = {block_of(graph, task) for task in tasks}
    if len(sizes) != 1 or (block := sizes.pop()) == 1 or lanes % block or outputs % block:
        return []
    if any(_whole_words(work, plan, block) is None for work, plan in zip(works, plans, strict=True)):
        return []
    operands = [graph.input_tensors(task)[0].number for task in tasks]
    if any(number.zero for number in operands):
        return []
    input_bits = max(number.bits for number in operands)
    weight_bits = max(task.parameters["weight"].number.bits for task in tasks)
    forms: list[CirculantForm] = [DirectForm(block, input_bits, weight_bits)]
    if block <= LARGEST:
        terms = max(plan.words for plan in plans) * (lanes // block)
        bound = total_bound(block, 1 << (input_bits - 1), 1 << (weight_bits - 1), terms).bit_length() + 1
        if bound <= WIDEST:
            forms.append(ExactForm(block, input_bits, weight_bits, max(sum_bits, bound)))
    return [form for form in forms if form.name in _allowed.get()]


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
    spectral = [operator for operator in operators if isinstance(operator, SPECTRAL)]
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

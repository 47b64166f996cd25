"""How a mac unit multiplies by circulant weights: the process that takes the place of mac, its weights and its cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from ..circulant import expand, first_columns, task_block
from ..circulant_exact import LARGEST, additions, multiplications, total_bound
from ..fixed_point import Integers
from ..operator import Array
from ..task_graph import Task, TaskGraph
from ..work import MacWork
from .machine import Constant
from .pack import pack_weights
from .rows import MacRow, Row
from .window import PatchPlan, Way

DENSE, DIRECT, EXACT = "dense", "direct", "exact"

LUTS_OF_A_DSP = 100
"""What a DSP is worth in LUTs: about their ratio on the supported parts."""

_WIDEST = 62
"""Bits of the widest accumulator."""

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


@dataclass(frozen=True)
class CirculantForm:
    """Circulant blocks of `block` channels on a unit of `outputs` x `lanes` channels.

    Attributes:
        name: DIRECT, whose columns are rotated into K * K products, or EXACT, of X(K) products.
        block: K.
        input_bits: of the activations.
        weight_bits: of the weights.
        total_bits: of an accumulator.
    """

    name: str
    block: int
    input_bits: int
    weight_bits: int
    total_bits: int

    def multipliers(self, outputs: int, lanes: int) -> int:
        """Multipliers of the array."""
        blocks = outputs // self.block * (lanes // self.block)
        return blocks * (self.block**2 if self.name == DIRECT else multiplications(self.block))

    def luts(self, outputs: int, lanes: int) -> int:
        """Adders, a LUT for every bit of each."""
        rows, across = outputs // self.block, lanes // self.block
        if self.name == DIRECT:
            return 10 * self.multipliers(outputs, lanes)
        before, after = additions(self.block)
        growth = self.block.bit_length() - 1
        into = across * before * (self.input_bits + growth) + rows * across * before * (
            self.weight_bits + growth
        )
        return into + (self.multipliers(outputs, lanes) + rows * after) * self.total_bits

    def operand_bits(self, lanes: int) -> int:
        """Bits of a word of the patch that the array keeps."""
        if self.name == DIRECT:
            return lanes * self.input_bits
        growth = self.block.bit_length() - 1
        return lanes // self.block * multiplications(self.block) * (self.input_bits + growth)

    def constants(self) -> tuple[Constant, ...]:
        """What the config of the array holds beyond that of mac."""
        growth = self.block.bit_length() - 1
        if self.name == DIRECT:
            form = f"circulant_direct<{self.block}, input_t, weight_t, sum_t>"
        else:
            form = (
                f"circulant_exact<{self.block}, input_t, integer<{self.input_bits + growth}>, weight_t, "
                f"integer<{self.weight_bits + growth}>, integer<{self.total_bits}>, sum_t>"
            )
        return (
            Constant("kBlock", str(self.block), "channels of a circulant block"),
            Constant("form", form, is_type=True),
        )

    def pack(self, by_position: Array, way: Way, lanes: int, outputs: int) -> Integers:
        """Weight entries of a task: of every block its first column.

        Args:
            by_position: (output channels, positions, input channels), raw.
            way: how the window orders a patch.
            lanes: elements per word.
            outputs: output channels per entry.
        """
        weight = by_position.transpose(0, 2, 1)
        columns = first_columns(weight, self.block)
        assert columns is not None, "chosen for circulant weights only"
        rows, across = columns.shape[:2]
        whole = expand(columns, rows * self.block, across * self.block).transpose(0, 2, 1)
        entries = pack_weights(whole, way, lanes, outputs)
        blocks = entries.reshape(
            len(entries), outputs // self.block, self.block, lanes // self.block, self.block
        )
        return blocks[..., 0].transpose(0, 1, 3, 2).reshape(len(entries), -1)


@lru_cache(maxsize=4096)
def block_of(graph: TaskGraph, task: Task) -> int:
    """Size of the circulant blocks of a task's weights; 1 for dense ones."""
    return task_block(graph, task)


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

    All weights have to be circulant, in blocks of one size that divides words and passes. Every form has the same cycles
    and the same weights, K times fewer than a dense unit.
    """
    sizes = {block_of(graph, task) for task in tasks}
    if len(sizes) != 1 or (block := sizes.pop()) == 1 or lanes % block or outputs % block:
        return None
    if any(_whole_words(work, plan, block) is None for work, plan in zip(works, plans, strict=True)):
        return None
    operands = [graph.input_tensors(task)[0].number for task in tasks]
    if any(number.zero for number in operands):
        return None
    input_bits = max(number.bits for number in operands)
    weight_bits = max(task.parameters["weight"].number.bits for task in tasks)
    forms = [CirculantForm(DIRECT, block, input_bits, weight_bits, sum_bits)]
    if block <= LARGEST:
        terms = max(plan.words for plan in plans) * (lanes // block)
        bound = total_bound(block, 1 << (input_bits - 1), 1 << (weight_bits - 1), terms).bit_length() + 1
        if bound <= _WIDEST:
            forms.append(CirculantForm(EXACT, block, input_bits, weight_bits, max(sum_bits, bound)))

    def cost(form: CirculantForm) -> int:
        return LUTS_OF_A_DSP * form.multipliers(outputs, lanes) + form.luts(outputs, lanes)

    return min((form for form in forms if form.name in _allowed.get()), key=cost, default=None)


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

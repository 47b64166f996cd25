"""Nests as rows of a program, one for each phase of a process, and the table of the steps that are not constant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ...nest import Nest
from ..rows import IrregularNestRow, NestRow

IDLE = Nest(0, ())
"""A nest of no steps."""


def nest_rows(nests: Sequence[Nest]) -> tuple[list[NestRow | IrregularNestRow], tuple[int, ...]]:
    """A row of the same number of counters for each nest, and the table of steps, empty where no nest needs one.

    Counters are innermost first, each with what the address changes by when it advances instead of its stride. In the table a
    counter has a step for each of its values, the last of which is never taken.
    """
    dims = nest_dims(nests)
    rows: list[IrregularNestRow] = []
    table: list[int] = []
    known: dict[tuple[int, ...], int] = {}
    for nest in nests:
        digits = [*reversed(nest.digits), *[(1, 0, 0, 1)] * (dims - len(nest.digits))]
        steps, places = [], []
        rewind = 0  # of all counters inside, when they start again
        for extent, stride, _, _ in digits:
            if isinstance(stride, int):
                steps.append(stride - rewind)
                places.append(-1)
                rewind += stride * (extent - 1)
                continue
            differing = (
                *(after - before - rewind for before, after in pairwise(stride)),
                0,
            )
            if differing not in known:
                known[differing] = len(table)
                table += differing
            steps.append(0)
            places.append(known[differing])
            rewind += stride[-1] - stride[0]
        extents, _, lows, highs = zip(*digits, strict=True)
        rows.append(IrregularNestRow(NestRow(nest.offset, extents, tuple(steps), lows, highs), tuple(places)))
    return [row if table else row.counters for row in rows], tuple(table)


def nest_dims(nests: Sequence[Nest]) -> int:
    """Counters that the longest of the nests needs."""
    return max((len(nest.digits) for nest in nests), default=1) or 1

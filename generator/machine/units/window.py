"""How the window process handles a task: its way, its line buffer, its patches and its exact trip count."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ...work import DepthwiseWork, MacWork, PoolWork, Window
from ..rows import Row
from ..stage import Steps

PACKED_LIMIT = 512
"""Largest patch, in elements, that is kept in registers."""

EAGER = -1
"""No limit to how far a window stores ahead: right where its words come faster than it works."""

PATIENCE = 1.25
"""How much longer than its words take to come a window may take and still store only what it needs (measured)."""

_SHORTEST_PACKED_LINE = 8
"""A packed line buffer is read and written in one cycle; its lines must be longer than that pipeline."""


@dataclass(frozen=True)
class WindowRow(Row):
    """window.hpp: geometry of a sliding window and the trip count of its loop."""

    struct: ClassVar[str] = "window_row"
    header: ClassVar[str] = "window.hpp"

    way: int = 0
    iterations: int = 0
    height: int = 0
    width: int = 0
    groups: int = 0
    kernel_height: int = 0
    kernel_width: int = 0
    stride_y: int = 0
    stride_x: int = 0
    dilation_y: int = 0
    dilation_x: int = 0
    pad_top: int = 0
    pad_left: int = 0
    out_height: int = 0
    out_width: int = 0
    first_slot: int = 0
    lead: int = 0
    right: int = 0
    padding: int = 0


class Way(IntEnum):
    """The three ways of hls_kernels/window.hpp."""

    STRAIGHT = 1
    ROWS = 2
    PACKED = 4


@dataclass(frozen=True)
class PatchPlan:
    """What one task needs of a window process.

    `words` are per output pixel; `reads` and `writes` say when the process takes a word and when it sends one; `lines` and `line_words` size the line buffer of way ROWS, `line_words` alone the
    columns of way PACKED.
    """

    way: Way
    words: int
    row: WindowRow
    reads: Steps
    writes: Steps
    lines: int = 0
    line_words: int = 0


def groups(channels: int, lanes: int) -> int:
    """Words per pixel."""
    return -(-channels // lanes)


@lru_cache(maxsize=1 << 14)
def plan_patches(
    work: MacWork | DepthwiseWork | PoolWork,
    lanes: int,
    padding: int = 0,
    lines: int = 0,
    *,
    pack: bool = True,
    pace: int = 0,
) -> PatchPlan:
    """The way a task's patches are made, and its program row.

    Args:
        work: the task's geometry.
        lanes: elements per word.
        padding: raw value of padded elements.
        lines: rows of the unit's line buffer, if it is larger than this task needs.
        pack: False where the unit's registers hold another task's patches.
        pace: cycles over which the words come from another unit; 0 if they come from memory.
    """
    per_pixel = groups(work.channels, lanes)
    if work.window is None:
        words = work.in_pixels * per_pixel if isinstance(work, MacWork) else per_pixel
        steps = Steps.even(work.pixels * words)
        row = WindowRow(way=Way.STRAIGHT, iterations=work.pixels * words)
        return PatchPlan(Way.STRAIGHT, words, row, steps, steps)
    if pack and isinstance(work, MacWork) and _packs(work, work.window, lanes):
        return _plan_packed(work, work.window, lanes, padding)
    eager = _plan_rows(work.window, per_pixel, padding, lines, EAGER)
    if pace == 0:
        return eager
    patient = _plan_rows(work.window, per_pixel, padding, lines, work.window.stride[1] * per_pixel)
    return patient if patient.row.iterations <= PATIENCE * pace else eager


def _packs(work: MacWork, window: Window, lanes: int) -> bool:
    """True if dense packing makes shorter patches and the patch is small enough for registers."""
    elements = window.positions * work.channels
    return (
        work.channels <= lanes
        and elements <= PACKED_LIMIT
        and -(-elements // lanes) < window.positions
        and window.dilation == (1, 1)
        and window.width >= _SHORTEST_PACKED_LINE
    )


def _plan_packed(work: MacWork, window: Window, lanes: int, padding: int) -> PatchPlan:
    words = -(-window.positions * work.channels // lanes)
    bottom = max(
        window.height, (window.out_height - 1) * window.stride[0] + window.kernel[0] - window.pad_top
    )
    right = max(window.width, (window.out_width - 1) * window.stride[1] + window.kernel[1] - window.pad_left)
    columns = right + window.pad_left
    iterations = (bottom + window.pad_top) * columns + work.pixels * (words - 1)
    row = WindowRow(
        **_geometry(window), way=Way.PACKED, iterations=iterations, groups=1, right=right, padding=padding
    )
    return PatchPlan(Way.PACKED, words, row, *_packed_steps(window, words, columns), line_words=columns)


def _packed_steps(window: Window, words: int, columns: int) -> tuple[Steps, Steps]:
    """Reads and writes of `packed_window`: a column of the padded image takes an iteration, `words` where a patch is sent."""
    reads: list[tuple[float, float]] = []
    writes: list[tuple[float, float]] = []
    sending = window.kernel[1] - 1 + window.stride[1] * np.arange(window.out_width)  # columns

    def at(column: int) -> int:
        """Iteration of a column, from the beginning of a row that sends patches."""
        return column + int((sending < column).sum()) * (words - 1)

    start = 1
    sent = 0
    for y in range(-window.pad_top, window.height + window.pad_top + window.kernel[0]):
        row = y - (window.kernel[0] - 1 - window.pad_top)
        sends = row >= 0 and row % window.stride[0] == 0 and row // window.stride[0] < window.out_height
        if 0 <= y < window.height:
            right = window.pad_left + window.width - 1
            first = y * window.width - window.pad_left + 1
            reads += [
                (first + column, start + (at(column) if sends else column))
                for column in (window.pad_left, min(max(window.pad_left, int(sending[0])), right), right)
            ]
        if sends:
            last = sent + window.out_width * words
            writes += [
                (sent + 1, start + at(int(sending[0]))),
                (last, start + at(int(sending[-1])) + words - 1),
            ]
            sent = last
        start += columns + (window.out_width * (words - 1) if sends else 0)
    return Steps.of(*reads), Steps.of(*writes)


def _plan_rows(window: Window, per_pixel: int, padding: int, lines: int, lead: int) -> PatchPlan:
    reach = (window.kernel[0] - 1) * window.dilation[0] + 1
    # `stride` more rows than the kernel spans: they fill while the patches of one output row are sent.
    all_lines = window.height + window.pad_top  # slots are counted from the first padded row
    lines = max(min(reach + window.stride[0], all_lines), *window.stride, *window.dilation, lines)
    walk = walk_rows(window, per_pixel, lines, lead)
    row = WindowRow(
        **_geometry(window),
        way=Way.ROWS,
        iterations=walk.iterations,
        groups=per_pixel,
        first_slot=-window.pad_top % lines,
        lead=lead,
        padding=padding,
    )
    return PatchPlan(
        Way.ROWS,
        window.positions * per_pixel,
        row,
        walk.reads,
        walk.writes,
        lines=lines,
        line_words=window.width * per_pixel,
    )


def _geometry(window: Window) -> dict[str, int]:
    return {
        "height": window.height,
        "width": window.width,
        "kernel_height": window.kernel[0],
        "kernel_width": window.kernel[1],
        "stride_y": window.stride[0],
        "stride_x": window.stride[1],
        "dilation_y": window.dilation[0],
        "dilation_x": window.dilation[1],
        "pad_top": window.pad_top,
        "pad_left": window.pad_left,
        "out_height": window.out_height,
        "out_width": window.out_width,
    }


@dataclass(frozen=True)
class RowsWalk:
    """A window of way ROWS: its exact trip count, and when it takes and sends words.

    The steps are exact at both ends of every output row, and of its first patch.
    """

    iterations: int
    reads: Steps
    writes: Steps


@lru_cache(maxsize=1 << 14)
def walk_rows(window: Window, per_pixel: int, lines: int, lead: int = EAGER) -> RowsWalk:
    """The iterations of `rows_window` in hls_kernels/window.hpp.

    Two coupled sequences of one event per iteration. A word is stored one iteration after the one before it, not
    before its slot is free (when the last patch of an output row has been sent), and not more than `lead` words ahead
    of the patch that is being sent. A word is sent one iteration after the one before it, and not before the iteration
    after its storing.
    """
    stored = np.full(
        window.height * window.width * per_pixel, -1, dtype=np.int64
    )  # iteration of each word's storing
    count = 0  # words stored so far
    free = 0  # next iteration in which a word may be stored
    send = 0  # next iteration in which a word may be sent
    columns = _row_columns(window, per_pixel)
    row_words = window.width * per_pixel
    patch_words = window.positions * per_pixel
    reach_y = (window.kernel[0] - 1) * window.dilation[0]
    reach = ((window.kernel[1] - 1) * window.dilation[1] + 1) * per_pixel
    ends = {0}  # words stored by the end of each output row, and of its first patch
    writes: list[tuple[float, float]] = []
    sent = 0
    for out_y in range(window.out_height):
        base = out_y * window.stride[0] - window.pad_top
        slots = min(max(base + lines, 0), window.height) * row_words
        rows = base + np.arange(window.kernel[0]) * window.dilation[0]
        index = np.where(
            ((rows >= 0) & (rows < window.height))[:, np.newaxis] & (columns >= 0)[..., np.newaxis, :],
            rows[:, np.newaxis] * row_words + columns[..., np.newaxis, :],
            -1,
        )  # out column, channel word, kernel row, kernel column
        if lead == EAGER:
            steps = [(slots, index.reshape(-1))]
        else:
            last_y = base + reach_y
            steps = []
            for out_x, patch in enumerate(index):
                last = (out_x * window.stride[1] - window.pad_left) * per_pixel + reach + lead
                wanted = last_y * row_words + min(max(last, 0), row_words)
                steps.append((min(slots, max(wanted, 0)), patch.reshape(-1)))
        for number, (limit, words) in enumerate(steps):
            if limit > count:
                free = max(free, send)
                stored[count:limit] = free + np.arange(limit - count)
                free += limit - count
                count = limit
            ready = np.where(words >= 0, stored[words] + 1, 0)
            order = np.arange(words.size)
            leaves = np.maximum(np.maximum.accumulate(ready - order), send) + order + 1
            if number in (0, len(steps) - 1):
                ends.add(count)
                writes += [(sent + n, int(leaves[n - 1])) for n in (1, patch_words, words.size)]
            sent += words.size
            send = int(leaves[-1])
    if count < stored.size:
        free = max(free, send)
        stored[count:] = free + np.arange(stored.size - count)
        free += stored.size - count
        ends.add(stored.size)
    taken = [(word, int(stored[word - 1]) + 1) for a, b in pairwise(sorted(ends)) for word in (a + 1, b)]
    return RowsWalk(max(send, free), Steps.of(*taken), Steps.of(*writes))


def _row_columns(window: Window, per_pixel: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Word column (x * groups + group), or -1 if padded, by (out column, channel word, kernel column)."""
    x = (
        np.arange(window.out_width)[:, np.newaxis, np.newaxis] * window.stride[1]
        - window.pad_left
        + np.arange(window.kernel[1]) * window.dilation[1]
    )
    column = x * per_pixel + np.arange(per_pixel)[:, np.newaxis]
    return np.where((x >= 0) & (x < window.width), column, -1)

"""The mac process: its program, its time and its DSPs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from ..rows import Row
from ..stage import Stage, Steps
from .window import groups


@dataclass(frozen=True)
class MacRow(Row):
    """mac.hpp: passes over patches of words; for computed operands, how they are loaded before."""

    struct: ClassVar[str] = "mac_row"
    header: ClassVar[str] = "mac.hpp"

    iterations: int = 0
    folds: int = 0
    words: int = 0
    weights: int = 0
    loads: int = 0
    skip: int = 0
    rows: int = 0
    last: int = 0
    pixels: int = 0


@lru_cache(maxsize=4096)
def mac_stage(kernel: str, row: MacRow, batches: int, pixels: int, steps: int) -> Stage:
    """The mac process as the cost model times it.

    Args:
        kernel: name of its function.
        row: its program.
        batches: of a computed operand; 1 if the operand is constant.
        pixels: of all batches.
        steps: iterations by which a sum comes later than its last word.
    """
    each = pixels // batches
    patch = row.folds * row.words
    words, sums = each * row.words, each * row.folds
    reads: list[tuple[float, float]] = []
    operands: list[tuple[float, float]] = []
    writes: list[tuple[float, float]] = []
    for batch in range(batches):
        loading = batch * (row.loads + each * patch)
        start = loading + row.loads
        end = start + each * patch
        reads += [
            (batch * words + 1, start + 1),
            (batch * words + row.words, start + row.words),
            ((batch + 1) * words, end - patch + row.words),
        ]
        operands += [(batch * row.loads + 1, loading + 1), ((batch + 1) * row.loads, start)]
        writes += [(batch * sums + 1, start + row.words + steps), ((batch + 1) * sums, end + steps)]
    ports = (Steps.of(*reads), Steps.of(*operands)) if row.loads else (Steps.of(*reads),)
    return Stage(kernel, row.iterations + steps, ports, Steps.of(*writes))


def products_per_dsp(element_bits: int, weight_bits: int) -> int:
    """Products with a common input that one DSP makes, of the families that boards have: all multiply 25 x 18 bits."""
    return 2 if element_bits <= 8 and weight_bits <= 8 else 1


def dense_dsps(outputs: int, lanes: int, element_bits: int, weight_bits: int) -> int:
    """DSPs of an array of so many outputs and lanes for dense weights."""
    count = outputs * lanes
    return count // 2 if products_per_dsp(element_bits, weight_bits) == 2 and outputs % 2 == 0 else count


def mac_steps(outputs: int, channels: int, lanes: int) -> tuple[int, int]:
    """Folds of the mac process, and steps of the post process, per pixel."""
    folds = -(-channels // outputs)
    return folds, folds if outputs < lanes else groups(channels, lanes)

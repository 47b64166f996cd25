"""Resource estimates made before synthesis. DSP and BRAM follow from the structure; LUT and FF are rough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import ceil

from ..board import Resources

_LUT_RAM_DEPTH = 128
"""Memories up to this depth are built from LUTs."""

_LUT_RAM_BITS = 1024
"""Memories of so few bits are built from LUTs whatever their depth."""

_BRAM_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width x depth of one BRAM18."""

BRAM18_BITS = 18 << 10
"""Bits of one BRAM18."""

URAM_BITS = 72 << 12
"""Bits of one UltraRAM block."""

NOTHING = Resources(dsp=0, bram18=0, uram=0, lut=0, ff=0)


def memory(width_bits: int, depth: int) -> Resources:
    """A memory of one word per cycle: LUTs where it is shallow, else BRAM in the cheapest of its aspect ratios.

    A LUT holds 64 bits (UltraScale and 7 series: a RAM64 of one bit).
    """
    if depth <= _LUT_RAM_DEPTH or width_bits * depth <= _LUT_RAM_BITS:
        luts = width_bits * ceil(depth / 64) if depth > 1 else 0
        return Resources(dsp=0, bram18=0, uram=0, lut=luts, ff=width_bits)
    blocks = min(ceil(width_bits / width) * ceil(depth / rows) for width, rows in _BRAM_SHAPES)
    return Resources(dsp=0, bram18=blocks, uram=0, lut=0, ff=0)


def bram18(width_bits: int, depth: int) -> int:
    """BRAM18 halves of a memory; 0 where LUTs serve."""
    return memory(width_bits, depth).bram18


def uram(width_bits: int, depth: int) -> int:
    """UltraRAM blocks of a memory: 72 bits x 4096 words each, of no other shape (UG573)."""
    return ceil(width_bits / 72) * ceil(depth / 4096)


def dsp_of_product(left_bits: int, right_bits: int) -> int:
    """DSPs of a product of two signed numbers; one multiplies 27 x 18 bits (DSP48E2; 25 x 18 on 7 series)."""
    return min(ceil(a / 25) * ceil(b / 18) for a, b in ((left_bits, right_bits), (right_bits, left_bits)))


def add(*parts: Resources) -> Resources:
    """Sum of resources."""
    return Resources(
        dsp=sum(part.dsp for part in parts),
        bram18=sum(part.bram18 for part in parts),
        uram=sum(part.uram for part in parts),
        lut=sum(part.lut for part in parts),
        ff=sum(part.ff for part in parts),
    )


def scaled(resources: Resources, factors: Mapping[str, float]) -> Resources:
    """Each resource times its factor, 1 where there is none, rounded up."""
    return Resources(
        **{name: ceil(value * factors.get(name, 1)) for name, value in asdict(resources).items()}
    )


def shared_resources(word_bits: int, banks: int, bank_words: int, ports: int) -> Resources:
    """Banks, AXI masters and control, which exist once."""
    control = Resources(
        dsp=0,
        bram18=ports * bram18(word_bits, 256),
        uram=0,
        lut=ports * (900 + 4 * word_bits) + 1500,
        ff=ports * (1200 + 6 * word_bits) + 2000,
    )
    return add(control, *(memory(word_bits, bank_words) for _ in range(banks)))

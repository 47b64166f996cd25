"""Resource estimates made before synthesis. DSP and BRAM follow from the structure; LUT and FF are rough."""

from __future__ import annotations

from math import ceil

from ..board import Resources

_LUT_RAM_DEPTH = 64
"""Memories up to this depth are built from LUTs."""

_BRAM_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width x depth of one BRAM18."""

NOTHING = Resources(dsp=0, bram18=0, uram=0, lut=0, ff=0)


def bram18(width_bits: int, depth: int) -> int:
    """BRAM18 halves of a memory: the cheapest of the aspect ratios; 0 where LUTs serve."""
    if depth <= _LUT_RAM_DEPTH or width_bits * depth <= 1024:
        return 0
    return min(ceil(width_bits / width) * ceil(depth / rows) for width, rows in _BRAM_SHAPES)


def add(*parts: Resources) -> Resources:
    """Sum of resources."""
    return Resources(
        dsp=sum(part.dsp for part in parts),
        bram18=sum(part.bram18 for part in parts),
        uram=sum(part.uram for part in parts),
        lut=sum(part.lut for part in parts),
        ff=sum(part.ff for part in parts),
    )


def shared_resources(word_bits: int, banks: int, bank_words: int, ports: int) -> Resources:
    """Banks, AXI masters and control, which exist once."""
    return Resources(
        dsp=0,
        bram18=banks * bram18(word_bits, bank_words) + ports * bram18(word_bits, 256),
        uram=0,
        lut=ports * (900 + 4 * word_bits) + 1500,
        ff=ports * (1200 + 6 * word_bits) + 2000,
    )

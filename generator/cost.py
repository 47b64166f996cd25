"""The cost model: cycles from the trip counts of the kernels' loops, and resources from the sizes of their memories.

Cycles: every process is one loop with II = 1, so a process takes trips + depth cycles; vendor reports agree with
loop = depth + II * (trips - 1) - 1 and function = loop + 2. Resources are estimates made before synthesis: DSP and
BRAM follow from the structure; LUT and FF are rough (see docs/limits.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

from .board import Resources
from .machine.units import MacHardware, PoolHardware, UnitHardware, WindowHardware
from .machine.window import Way

PIPELINE_DEPTHS: Mapping[str, int] = MappingProxyType(
    {
        "fetch": 4,
        "window": 6,
        "mac": 12,
        "post": 8,
        "pool": 10,
        "tee": 3,
        "route": 3,
        "select": 3,
        "collect": 4,
        "write_taps": 4,
    }
)
"""By kernel: cycles from a word entering to its result leaving; assumed until a vendor report says otherwise."""

PHASE_OVERHEAD = 6
"""Cycles to start and finish the dataflow region once more."""

_LUT_RAM_DEPTH = 64
"""Memories up to this depth are built from LUTs."""

_BRAM_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width x depth of one BRAM18."""


@dataclass(frozen=True)
class Stage:
    """One process of a phase.

    Attributes:
        kernel: name of the kernel function, which tells the pipeline depth.
        trips: iterations of its loop.
        fill_words: input words it must see before its first output word.
        fill_trips: own iterations from then to its first output word.
        tail_trips: own iterations after its last input word.
        input_words: words it consumes.
    """

    kernel: str
    trips: int
    input_words: int
    fill_words: int = 1
    fill_trips: int = 1
    tail_trips: int = 1


def chain_cycles(stages: Iterable[Stage]) -> int:
    """Latency of a chain of processes, each starting on the first words of the one before it.

    A stage starts when the words it needs have come at the mean rate of its producer; it ends after its own trips,
    and not before the producer's end and its own tail.
    """
    start, end = 0.0, 0.0
    for index, stage in enumerate(stages):
        if index:
            interval = (end - start) / max(stage.input_words, 1)
            start += interval * (stage.fill_words - 1) + 1
        depth = PIPELINE_DEPTHS[stage.kernel]
        end = max(start + stage.trips, end + stage.tail_trips) + depth
        start += stage.fill_trips - 1 + depth
    return ceil(end)


def bram18(width_bits: int, depth: int) -> int:
    """BRAM18 halves of a memory: the cheapest of the aspect ratios; 0 where LUTs serve."""
    if depth <= _LUT_RAM_DEPTH or width_bits * depth <= 1024:
        return 0
    return min(ceil(width_bits / width) * ceil(depth / rows) for width, rows in _BRAM_SHAPES)


def unit_resources(hardware: UnitHardware, lanes: int, element_bits: int) -> Resources:
    """Estimate for one unit with its memories."""
    window = _window_resources(hardware.window, lanes, element_bits)
    if isinstance(hardware, MacHardware):
        return add(window, _mac_resources(hardware, lanes, element_bits))
    return add(window, _pool_resources(hardware, lanes))


def shared_resources(lanes: int, element_bits: int, bank_words: int, ports: int) -> Resources:
    """Banks, ports and control, which exist once."""
    word = lanes * element_bits
    return Resources(
        dsp=0,
        bram18=2 * bram18(word, bank_words) + ports * bram18(word, 256),
        uram=0,
        lut=ports * (900 + 4 * word) + 1500,
        ff=ports * (1200 + 6 * word) + 2000,
    )


def add(*parts: Resources) -> Resources:
    """Sum of resources."""
    return Resources(
        dsp=sum(part.dsp for part in parts),
        bram18=sum(part.bram18 for part in parts),
        uram=sum(part.uram for part in parts),
        lut=sum(part.lut for part in parts),
        ff=sum(part.ff for part in parts),
    )


def _mac_resources(hardware: MacHardware, lanes: int, element_bits: int) -> Resources:
    """One DSP per multiplier (two where an operand exceeds 18 bits); adders and the rounding shifters in LUTs."""
    multipliers = hardware.unit.outputs * lanes
    entries = sum(map(len, hardware.weights))
    biases = sum(map(len, hardware.biases))
    bits = hardware.sum_bits
    return Resources(
        dsp=multipliers,
        bram18=bram18(multipliers * hardware.weight_bits, entries)
        + bram18(lanes * bits, biases)
        + bram18(lanes * element_bits, hardware.patch_words),
        uram=0,
        lut=multipliers * 10 + lanes * bits * 8 + 600,
        ff=multipliers * 16 + (lanes + hardware.unit.outputs) * bits * 3 + 800,
    )


def _pool_resources(hardware: PoolHardware, lanes: int) -> Resources:
    mean = any(row.mean for row in hardware.pools)
    products = ceil(hardware.total_bits / 17) * ceil(hardware.reciprocal_bits / 24) + 1
    bits = hardware.total_bits
    return Resources(
        dsp=lanes * products if mean else 0,
        bram18=0,
        uram=0,
        lut=lanes * bits * (6 if mean else 3) + 300,
        ff=lanes * bits * (8 if mean else 3) + 400,
    )


def _window_resources(window: WindowHardware, lanes: int, element_bits: int) -> Resources:
    word = lanes * element_bits
    registers = 0
    brams = bram18(word, window.lines * window.line_words)
    if Way.PACKED in window.ways:
        height, width = window.packed_kernel
        registers = 2 * height * width * window.packed_channels * element_bits
        brams += bram18(height * window.packed_channels * element_bits, window.packed_columns)
    buffered = window.ways != (Way.STRAIGHT,)
    return Resources(
        dsp=0,
        bram18=brams,
        uram=0,
        lut=(800 + 2 * word + registers if buffered else 0),
        ff=(900 + 2 * word + registers if buffered else 0),
    )

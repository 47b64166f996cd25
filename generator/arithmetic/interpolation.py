"""A function of single elements with many raw inputs, as straight lines: what hls_kernels/interpolate.hpp computes.

The raw inputs, modulo 2**bits, fall into 128 sections of equal width. Each section is cut into equal segments, as many as its
steepness needs, and every segment has a line:

    result = (base + slope * offset) >> FRACTION        offset: of the input in its segment

Lines are fitted to the table of all results (table_values.py), and every raw input is checked: the result is at most
`MOST_ERROR` away from the table's. Segments of one input hold the table's own value, so steps, poles and kinks are
refined until they fit. Functions that need more segments than memory is given are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..fixed_point import Integers

SECTION_BITS = 7
"""Sections are the upper bits of an input. 128 entries of a memory are still LUTs."""
FRACTION = 14
"""Fractional bits of bases and slopes: over 512 inputs the rounding of a slope is 2**-6 of a step of the result."""
SLOPE_BITS = 25
"""Signed; a DSP multiplies 27 x 18 bits."""
SHIFT_BITS = 4
"""Of a section's entry: log2 of the inputs of its segments; above it the number of its first segment."""
MOST_ERROR = 1
"""Steps of the result between line and table."""
MOST_SEGMENTS = 4096


@dataclass(frozen=True, eq=False)
class Lines:
    """The memories of an interpolated function.

    Attributes:
        sections: for each section, its first segment * 2**SHIFT_BITS + log2 of its segments' width.
        bases: of each segment, in 2**-FRACTION steps of the result, rounding included.
        slopes: of each segment, in the same unit per input.
    """

    sections: Integers
    bases: Integers
    slopes: Integers


def fit_lines(table: Integers) -> Lines | None:
    """The fewest segments, or None if they are more than `MOST_SEGMENTS`.

    Args:
        table: results for all raw inputs, in the order of raw input modulo 2**bits.
    """
    width = len(table) >> SECTION_BITS
    sections, bases, slopes = [], [], []
    first = 0
    fits = [_fit(table, 1 << shift) for shift in range(width.bit_length())]
    for section in range(1 << SECTION_BITS):
        for shift in reversed(range(width.bit_length())):
            count = width >> shift
            segments = slice(section * count, (section + 1) * count)
            base, slope, good = (values[segments] for values in fits[shift])
            if good.all():
                break
        sections.append((first << SHIFT_BITS) + shift)
        bases.append(base)
        slopes.append(slope)
        first += count
    if first > MOST_SEGMENTS:
        return None
    return Lines(np.array(sections, np.int64), np.concatenate(bases), np.concatenate(slopes))


def interpolate(raw: Integers, bits: int, lines: Lines) -> Integers:
    """Results for raw inputs of so many bits."""
    section_shift = bits - SECTION_BITS
    inputs = raw & ((1 << bits) - 1)
    section = lines.sections[inputs >> section_shift]
    shift = section & ((1 << SHIFT_BITS) - 1)
    within = inputs & ((1 << section_shift) - 1)
    segment = (section >> SHIFT_BITS) + (within >> shift)
    offset = within & ((1 << shift) - 1)
    result: Integers = (lines.bases[segment] + lines.slopes[segment] * offset) >> FRACTION
    return result


def _fit(table: Integers, width: int) -> tuple[Integers, Integers, np.ndarray]:
    """Base and slope of all segments of one width, and which of them are good: in error, range and bits.

    The slope is that of least squares; the base puts the largest errors of both signs at the same distance.
    """
    rows = table.reshape(-1, width)
    one = 1 << FRACTION
    if width == 1:
        return rows[:, 0] * one, np.zeros(len(rows), np.int64), np.ones(len(rows), bool)
    offset = np.arange(width, dtype=np.int64)
    centred = offset - (width - 1) / 2
    slope = np.rint((rows @ centred) / (centred @ centred) * one).astype(np.int64)
    rest = rows * one - slope[:, np.newaxis] * offset
    base = (rest.max(axis=1) + rest.min(axis=1)) // 2 + one // 2
    found = (base[:, np.newaxis] + slope[:, np.newaxis] * offset) >> FRACTION
    good = np.abs(found - rows).max(axis=1) <= MOST_ERROR
    good &= (found.max(axis=1) <= table.max()) & (found.min(axis=1) >= table.min())
    good &= np.abs(slope) < 1 << (SLOPE_BITS - 1)
    return base, slope, good

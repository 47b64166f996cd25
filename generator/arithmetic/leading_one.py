"""The place of the highest bit, which normalises a number of unknown size."""

from __future__ import annotations

import numpy as np

from ..fixed_point import Integers


def leading_one(values: Integers) -> Integers:
    """Place of the highest bit that is set, of numbers below 2**62; 0 for 0."""
    place = np.zeros_like(values)
    for bit in range(1, 62):
        place = np.where(values >> bit, bit, place)
    return place

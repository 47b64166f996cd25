"""What a product of two signed numbers takes: DSPs, or fewer of them and LUTs (hls_kernels/product.hpp)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

LUTS_OF_A_DSP = 100
"""What a DSP is worth in LUTs: about their ratio on the supported parts."""

PORTS = (25, 18)
"""Bits of the operands of a DSP's multiplier, signed, that the DSPs of all boards have."""


@dataclass(frozen=True)
class ProductCost:
    """Of one product.

    Attributes:
        dsps: that it takes.
        cut: lowest bits of the second operand that LUTs multiply.
        luts: that they take.
    """

    dsps: int
    cut: int = 0
    luts: int = 0


def product_cost(one: int, other: int) -> ProductCost:
    """Of operands of so many bits: the second is cut where that is cheaper than another DSP."""
    whole = ProductCost(_dsps(one, other))
    cut = other - PORTS[1]
    if whole.dsps > 1 and one <= PORTS[0] and cut * (one + 1) < LUTS_OF_A_DSP * (whole.dsps - 1):
        return ProductCost(1, cut, cut * (one + 1))  # a conditional addition for every bit
    return whole


def _dsps(one: int, other: int) -> int:
    """Operands beyond a port are cut into parts, of which all but the top one lose the sign bit."""
    ways = ((one, other), (other, one))
    return min(_parts(a, PORTS[0]) * _parts(b, PORTS[1]) for a, b in ways)


def _parts(bits: int, port: int) -> int:
    return max(1, ceil((bits - 1) / (port - 1)))

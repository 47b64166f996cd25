"""Formats of whole numbers: steps of 1, no rounding error, and all values of the type where it is narrow enough."""

from __future__ import annotations

import numpy as np

from ..errors import IntarsiaError
from ..fixed_point import FixedPoint, Floats
from ..operator import Array
from ..task_graph import Tensor
from .histogram import Histogram
from .precision import WIDEST

_TYPE_BITS = {"bool": 2, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16}
"""Types all of whose values fit. A boolean has a sign bit that it does not need, as all formats have."""


def whole_format(tensor: Tensor, found: Histogram, bits: int, *, told: bool) -> FixedPoint | None:
    """The format of a tensor of whole numbers; None if it is of a type of reals, and its values do not fit 16 bits.

    Narrow types have all their values. Of wider ones the samples decide: the bits given if these are enough, else as
    many as are needed. Unsigned types have a zero point at the lower rail, wider ones only where they need it.

    Args:
        tensor: one with a `kind`.
        found: its values for the samples.
        bits: of activations, or as the user tells for this tensor.
        told: whether the user tells them; then they stay what they are.

    Raises:
        IntarsiaError: an integer type whose values do not fit.
    """
    if tensor.kind in _TYPE_BITS and not told:
        width = _TYPE_BITS[tensor.kind]
        return FixedPoint(width, 0, zero=-(1 << (width - 1)) if tensor.kind.startswith("u") else 0)
    widths = [bits] if told else range(bits, WIDEST + 1)
    for width in widths:
        half = 1 << (width - 1)
        if -half <= found.minimum and found.maximum < half:
            return FixedPoint(width, 0)
    width = widths[-1]
    if found.minimum >= 0 and found.maximum < 1 << width:
        return FixedPoint(width, 0, zero=-(1 << (width - 1)))
    if tensor.kind == "float32":
        return None
    raise IntarsiaError(
        f"tensor {tensor.name!r} holds whole numbers ({tensor.kind}) from {found.minimum:.0f} to {found.maximum:.0f} for the "
        f"calibration samples. Supported: {-(1 << (width - 1))} to {(1 << (width - 1)) - 1}, or 0 to {(1 << width) - 1}, in "
        f"{width} bits{' as --precision tells' if told else ''}. Leave its nodes to the host (--host-ops), or scale it down"
    )


def bits_of_whole(values: Array) -> int:
    """Bits of signed integers that hold these values; 0 if not all are whole."""
    reals: Floats = np.asarray(values, dtype=np.float64)
    if not np.array_equal(reals, np.rint(reals)):
        return 0
    low, high = int(reals.min(initial=0)), int(reals.max(initial=0))
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1

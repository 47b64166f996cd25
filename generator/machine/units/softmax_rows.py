"""Program rows of the softmax unit: field by field the twins of the structs in softmax.hpp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..rows import Row


@dataclass(frozen=True)
class SoftmaxMaximumRow(Row):
    """softmax.hpp: the geometry of rows, and of a causal mask."""

    struct: ClassVar[str] = "softmax_maximum_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    period: int = 0
    first: int = 0


@dataclass(frozen=True)
class SoftmaxExponentialRow(Row):
    """softmax.hpp: likewise, and which tables."""

    struct: ClassVar[str] = "softmax_exponential_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    period: int = 0
    first: int = 0
    log: bool = False
    fraction: int = 0
    fine: int = 0
    fine_mask: int = 0
    coarse: int = 0


@dataclass(frozen=True)
class SoftmaxFactorRow(Row):
    """softmax.hpp: reciprocals or logarithms of sums."""

    struct: ClassVar[str] = "softmax_factor_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    log: bool = False
    fraction: int = 0
    numerator: int = 0


@dataclass(frozen=True)
class SoftmaxScaleRow(Row):
    """softmax.hpp: the result, rounded and clamped."""

    struct: ClassVar[str] = "softmax_scale_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    log: bool = False
    left_difference: int = 0
    left_logarithm: int = 0
    shift: int = 0
    zero: int = 0
    low: int = 0
    high: int = 0

"""Program rows of the norm unit: field by field the twins of the structs in norm.hpp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..rows import Row


@dataclass(frozen=True)
class NormMomentsRow(Row):
    """norm.hpp: sums over rows."""

    struct: ClassVar[str] = "norm_moments_row"
    header: ClassVar[str] = "norm.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    centre: bool = False


@dataclass(frozen=True)
class NormInverseRow(Row):
    """norm.hpp: the reciprocal root of a row's variance."""

    struct: ClassVar[str] = "norm_inverse_row"
    header: ClassVar[str] = "norm.hpp"

    iterations: int = 0
    channels: int = 0
    guard: int = 0
    epsilon: int = 0
    root_bits: int = 0
    shift: int = 0


@dataclass(frozen=True)
class NormScaleRow(Row):
    """norm.hpp: scaling, gamma and beta, rounding and clamp."""

    struct: ClassVar[str] = "norm_scale_row"
    header: ClassVar[str] = "norm.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    entry: int = 0
    beta_shift: int = 0
    shift: int = 0
    zero: int = 0
    low: int = 0
    high: int = 0

"""Exact integer arithmetic in floating point, where range analysis proves it exact and it is faster.

A float32 (float64) holds every integer up to 2**24 (2**53). So sums of integers whose partial sums stay below that, in
whatever order, are exact, and so is their product with a power of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT32_EXACT = 1 << 24
_FLOAT64_EXACT = 1 << 53


def exact_type(bound: int) -> type[np.float32 | np.float64 | np.int64]:
    """The fastest type in which arithmetic on integers of at most this magnitude is exact."""
    if bound < _FLOAT32_EXACT:
        return np.float32
    return np.float64 if bound < _FLOAT64_EXACT else np.int64


def is_exact(kind: np.dtype[Any], bound: int) -> bool:
    """True if arithmetic on integers of at most this magnitude is exact in floats of this type."""
    return bound < (_FLOAT32_EXACT if kind == np.float32 else _FLOAT64_EXACT)


def matmul(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """left @ right; for integers the exact int64 product.

    Every partial sum of a product of integers is bounded by depth * max|left| * max|right|. Below 2**24
    (2**53) all of them are integers that float32 (float64) holds exactly, in whatever order BLAS adds them.
    """
    if left.dtype.kind == "f" or right.dtype.kind == "f":
        product: NDArray[Any] = left @ right
        return product
    bound = left.shape[-1] * _magnitude(left) * _magnitude(right)
    if bound < _FLOAT32_EXACT:
        return (left.astype(np.float32) @ right.astype(np.float32)).astype(np.int64)
    if bound < _FLOAT64_EXACT:
        return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return left.astype(np.int64) @ right.astype(np.int64)


def _magnitude(values: NDArray[Any]) -> int:
    return max(-int(values.min()), int(values.max())) if values.size else 0

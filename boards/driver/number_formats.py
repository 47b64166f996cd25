"""Number formats: reals to raw integers and back. value = (raw - zero) * mantissa * 2**exponent.

A format is a dict of the manifest: `bits`, `signed`, `exponent`, and where they differ from 1, 0, HALF_EVEN and 0
`mantissa`, `zero`, `rounding` and `narrow` (how far the smallest value stays above that of two's complement).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import AcceleratorError


def element_type(number: dict[str, Any]) -> np.dtype[Any]:
    """Returns the little-endian NumPy type that holds the raw integers of a number format."""
    size = 1 if number["bits"] <= 8 else 2 if number["bits"] <= 16 else 4
    return np.dtype(f"<{'i' if number['signed'] else 'u'}{size}")


def limits(number: dict[str, Any]) -> tuple[int, int]:
    """Returns the smallest and the largest raw value of a number format."""
    if number["signed"]:
        return number.get("narrow", 0) - (1 << (number["bits"] - 1)), (1 << (number["bits"] - 1)) - 1
    return 0, (1 << number["bits"]) - 1


def quantise(values: Any, number: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Rounds floats to raw integers, half to even unless the format says otherwise, then saturating."""
    scaled = np.asarray(values, dtype=np.float64) / scale(number)
    if np.isnan(scaled).any():
        raise AcceleratorError("the input holds NaN, which has no fixed-point value")
    whole = round_values(scaled, number.get("rounding", "HALF_EVEN")) + number.get("zero", 0)
    raw: np.ndarray[Any, Any] = np.clip(whole, *limits(number)).astype(element_type(number))
    return raw


def to_raw(values: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns the raw integers of samples of an input: reals are rounded and saturate, whole numbers must be within the format.

    Raises:
        AcceleratorError: If the model takes integers, and these are none, or beyond what the design was made for.
    """
    if "type" not in spec:
        return quantise(values, spec["format"])
    number, given = spec["format"], np.asarray(values)
    low, high = (bound - number.get("zero", 0) for bound in limits(number))
    low = max(low, 0) if spec["type"] == "bool" else low
    if given.size and (given.dtype.kind not in "iufb" or not np.array_equal(given, np.rint(given))):
        raise AcceleratorError(f"input '{spec['tensor']}' takes {spec['type']}, but was given {given.dtype}")
    if given.size and not (low <= given.min() and given.max() <= high):
        raise AcceleratorError(
            f"input '{spec['tensor']}' was given values from {given.min()} to {given.max()}; this design takes {low} to {high}. "
            f"Compile it again with calibration samples that have them, or with more bits for this tensor (--precision)"
        )
    raw: np.ndarray[Any, Any] = (given.astype(np.int64) + number.get("zero", 0)).astype(element_type(number))
    return raw


def to_values(raw: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns the values of raw outputs: reals, or integers of the model's type."""
    values = dequantise(raw, spec["format"])
    return values.astype(spec["type"]) if "type" in spec else values


def scale(number: dict[str, Any]) -> float:
    """Returns the value of one step of a number format."""
    return float(number.get("mantissa", 1.0) * 2.0 ** number["exponent"])


def round_values(values: np.ndarray[Any, Any], mode: str) -> np.ndarray[Any, Any]:
    """Rounds floats to whole numbers in one of the modes of generator/arithmetic/rounding.py."""
    size = np.abs(values)
    by_mode: dict[str, Callable[[], Any]] = {
        "HALF_EVEN": lambda: np.rint(values),
        "HALF_ODD": lambda: np.rint(values + 1) - 1,
        "FLOOR": lambda: np.floor(values),
        "CEIL": lambda: np.ceil(values),
        "DOWN": lambda: np.trunc(values),
        "UP": lambda: np.copysign(np.ceil(size), values),
        "HALF_DOWN": lambda: np.copysign(np.ceil(size - 0.5), values),
        "HALF_UP": lambda: np.copysign(np.floor(size + 0.5), values),
        "SIGN": lambda: np.where(values < 0, -1.0, 1.0),
    }
    rounded: np.ndarray[Any, Any] = by_mode[mode]()
    return rounded


def dequantise(raw: Any, number: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns the exact values of raw integers."""
    steps = np.asarray(raw, dtype=np.float64) - number.get("zero", 0)
    values: np.ndarray[Any, Any] = steps * scale(number)
    return values

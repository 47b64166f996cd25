"""Post-training quantisation to integers with power-of-two scales."""

from .accumulators import AccumulatorRange, RangeError, accumulator_bits, accumulator_ranges
from .calibrate import CalibrationError, Statistics, calibrate
from .histogram import Histogram
from .precision import Precision, read_precision
from .quantise import DEFAULT_OPTIONS, QuantiseOptions, quantise

__all__ = [
    "DEFAULT_OPTIONS",
    "AccumulatorRange",
    "CalibrationError",
    "Histogram",
    "Precision",
    "QuantiseOptions",
    "RangeError",
    "Statistics",
    "accumulator_bits",
    "accumulator_ranges",
    "calibrate",
    "quantise",
    "read_precision",
]

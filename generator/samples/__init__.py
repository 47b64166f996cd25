"""Samples: what a user has as inputs of the model."""

from .choose import Purpose
from .files import read_arrays, samples_bytes
from .load import load_samples
from .preprocess import DEFAULT_PREPROCESS, Preprocess
from .samples import Samples, SamplesError
from .synthetic import synthetic_samples

__all__ = [
    "DEFAULT_PREPROCESS",
    "Preprocess",
    "Purpose",
    "Samples",
    "SamplesError",
    "load_samples",
    "read_arrays",
    "samples_bytes",
    "synthetic_samples",
]

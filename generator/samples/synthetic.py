"""Random samples, for when there are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..task_graph import Tensor
from .samples import Samples

_SYNTHETIC = 64


def synthetic_samples(inputs: tuple[Tensor, ...], seed: int = 0, count: int = _SYNTHETIC) -> Samples:
    """Uniform random values in [0, 1), for when there is no calibration data; the note says so loudly."""
    generator = np.random.default_rng(seed)
    arrays = {
        tensor.name: generator.random((count, *tensor.shape), dtype=np.float32)
        if tensor.integers is None
        else generator.integers(0, _synthetic_bound(tensor.integers), (count, *tensor.shape)).astype(
            np.float32
        )
        for tensor in inputs
    }
    note = (
        "NOT CALIBRATED: no samples were given, so number ranges come from random inputs (reals in [0, 1), integers from "
        "0 on). The design runs and verifies, but its accuracy on real data is unknown. Give real samples with --calibration X.npz"
    )
    return Samples(arrays, None, (note,))


def _synthetic_bound(kind: np.dtype[Any]) -> int:
    """One more than the largest integer of synthetic samples: bytes and less have all values, others as many as a byte."""
    return 2 if kind.kind == "b" else 128 if kind == np.int8 else 256

"""Samples: inputs of a model, by graph input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import IntarsiaError
from ..operator import Array

Reals = NDArray[np.float32]


class SamplesError(IntarsiaError):
    """A sample file cannot be read, or does not fit the model."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs of shape (samples, *tensor shape) by graph input: real ones, but integers where the host takes these.

    `notes` say what was done to the data.
    """

    arrays: dict[str, Array]
    labels: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(next(iter(self.arrays.values())))

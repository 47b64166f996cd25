"""How sample files become model inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .samples import SamplesError


@dataclass(frozen=True)
class Preprocess:
    """How sample files become model inputs; kept in design.json, so that verification does the same.

    `scale` multiplies uint8 data (other data stay as they are); `fit` says what happens to images smaller than
    the model's: zeros around them, or an error. `integers` are graph inputs that the model takes as integers, each as
    (name, scale, zero point): samples of an integer type are such integers.
    """

    scale: float = 1 / 255
    fit: Literal["pad", "error"] = "pad"
    integers: tuple[tuple[str, float, int], ...] = ()

    def with_integers(self, inputs: Mapping[str, tuple[float, int]]) -> Preprocess:
        """The same for a model that takes these inputs as integers: name -> scale and zero point."""
        return replace(self, integers=tuple((name, *numbers) for name, numbers in inputs.items()))

    def __post_init__(self) -> None:
        if self.fit not in ("pad", "error"):
            raise SamplesError(f"--fit must be pad or error, not {self.fit!r}")
        if not (math.isfinite(self.scale) and self.scale != 0):
            raise SamplesError(f"--input-scale must be a finite number other than 0, not {self.scale}")


DEFAULT_PREPROCESS = Preprocess()

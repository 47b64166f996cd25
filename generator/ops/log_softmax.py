"""LogSoftmax: what Softmax computes, but x - max - log(sum) instead of a quotient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .softmax import Softmax


@dataclass(frozen=True)
class LogSoftmax(Softmax):
    """log(exp(x) / sum(exp(x))) along `axis`, the channels; never causal, as log(0) is no number."""

    name: ClassVar[str] = "LogSoftmax"
    onnx_types: ClassVar[tuple[str, ...]] = ("LogSoftmax",)
    log: ClassVar[bool] = True

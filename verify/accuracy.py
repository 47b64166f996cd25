"""How many answers are right: top-1 and top-5, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from intarsia.errors import IntarsiaError

from .runner import Array

TOP_1, TOP_5 = "top-1", "top-5"
Scorer = Callable[[Mapping[str, Array], Array], Array]
"""Scores samples: real outputs by name, each of shape (samples, *tensor shape), and labels -> one score per sample, 0 to 1."""


class ScoreError(IntarsiaError):
    """A user's accuracy function failed, or gave something else than a score per sample."""


@dataclass(frozen=True)
class Accuracy:
    """Number of labelled samples, and the sum of scores per world; None if a world took no part.

    `dense` is the float model before compression.

    For top-1 and top-5 a score is 0 or 1. Sums are exact, so that merging does not depend on how samples were batched.
    """

    samples: int = 0
    float_model: Fraction | int | None = None
    quantised: Fraction | int | None = None
    accelerator: Fraction | int | None = None
    metric: str = TOP_1
    dense: Fraction | int | None = None

    def merge(self, other: Accuracy) -> Accuracy:
        """The sums over both sets of samples."""
        return Accuracy(
            self.samples + other.samples,
            _add(self.float_model, other.float_model),
            _add(self.quantised, other.quantised),
            _add(self.accelerator, other.accelerator),
            self.metric if self.samples else other.metric,
            _add(self.dense, other.dense),
        )

    def share(self, right: Fraction | int | None) -> float | None:
        """Mean score, 0 to 1."""
        return float(Fraction(right) / self.samples) if right is not None and self.samples else None


def top(count: int) -> Scorer:
    """1 where the label is among the `count` largest elements of the first output; of equal ones the first is largest."""

    def score(outputs: Mapping[str, Array], labels: Array) -> Array:
        values = next(iter(outputs.values())).reshape(len(labels), -1)
        known = (labels >= 0) & (labels < values.shape[1])
        place = np.where(known, labels, 0)[:, np.newaxis]
        own = np.take_along_axis(values, place, axis=1)
        earlier = np.arange(values.shape[1]) < place
        rank = ((values > own) | ((values == own) & earlier)).sum(axis=1)
        right: Array = known & (rank < count)
        return right

    return score


def total(scorer: Scorer, outputs: Mapping[str, Array], labels: Array, metric: str) -> Fraction:
    """The exact sum of the scores.

    Raises:
        ScoreError: the function raised, or its result is not one finite number per sample.
    """
    try:
        scores = np.asarray(scorer(outputs, labels), np.float64)
    except Exception as error:  # a user's code raises anything
        raise ScoreError(f"the accuracy function {metric} failed: {type(error).__name__}: {error}") from error
    if scores.shape != (len(labels),) or not np.isfinite(scores).all():
        raise ScoreError(
            f"the accuracy function {metric} must give one finite score for each of {len(labels)} samples; its "
            f"result has shape {scores.shape}"
        )
    return sum((Fraction(float(score)) for score in scores), Fraction(0))


def _add(left: Fraction | int | None, right: Fraction | int | None) -> Fraction | int | None:
    return right if left is None else left if right is None else left + right

"""A process as the cost model times it: when, in its own iterations, it reads and writes words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Steps:
    """In which iterations of its loop a process reads or writes the words of a stream, both counted from 1.

    Equal ones are mostly the same object. Word `words[n]` in iteration `at[n]`, and those between evenly between; both rise strictly.
    """

    words: NDArray[np.float64]
    at: NDArray[np.float64]

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(*points: tuple[float, float]) -> Steps:
        """From pairs of word and iteration, in order; a word that is named twice counts once."""
        last = 0.0
        kept = [point for point in points if point[0] > last and (last := point[0])]
        words, at = np.array(kept, dtype=np.float64).T
        return Steps(words, at)

    @staticmethod
    @lru_cache(maxsize=4096)
    def even(words: int, every: float = 1, first: int = 1) -> Steps:
        """A word every so many iterations."""
        return Steps.of((1, first), (words, first + every * (words - 1)))


@dataclass(frozen=True)
class Stage:
    """One process of a unit, as the cost model times it.

    Attributes:
        kernel: name of the kernel function, which tells the pipeline depth.
        trips: iterations of its loop.
        reads: of each input stream, when its words are read.
        writes: when words are written.
        passes: True if iteration n reads word n of its only input and writes word n.
    """

    kernel: str
    trips: int
    reads: tuple[Steps, ...]
    writes: Steps
    passes: bool = False

    @staticmethod
    @lru_cache(maxsize=4096)
    def passing(kernel: str, words: int, inputs: int = 1) -> Stage:
        """A process that reads a word of each input, and writes one, in every iteration."""
        steps = Steps.even(words)
        return Stage(kernel, words, (steps,) * inputs, steps, passes=inputs == 1)


def after_rows(words: int, row: int) -> Steps:
    """Words that wait for the last of their row, where a word is read in every iteration."""
    return Steps.of((1, row), (words - row + 1, words), (words, words)) if row > 1 else Steps.even(words)


def row_by_row(kernel: str, words: int, row: int) -> Stage:
    """A process that makes one figure of a row: as words go, they pass through it, a row in every iteration."""
    rows = Steps.even(words, every=1 / row)
    return Stage(kernel, words // row, (rows,), rows)

"""One point of the design space: what a user could have asked `intarsia compile` for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..board import Board


@dataclass(frozen=True)
class Numeric:
    """What decides about every integer, and so about accuracy.

    Attributes:
        weight_bits: bits of weights.
        activation_bits: bits of activations.
        circulant: size of circulant blocks of weights; 1 leaves them as they are.
    """

    weight_bits: int
    activation_bits: int
    circulant: int = 1

    @property
    def label(self) -> str:
        """Short and unique."""
        block = f" k{self.circulant}" if self.circulant > 1 else ""
        return f"w{self.weight_bits} a{self.activation_bits}{block}"


@dataclass(frozen=True)
class Choice:
    """A point.

    Attributes:
        board: its name, or the path of its TOML file.
        numeric: widths and block size.
        lanes: elements per word.
        clock_mhz: clock; None for the board's own.
        schedule: "mixed", "dataflow" or "sequential".
        budget: percent of the board's logic that the design may use.
    """

    board: str
    numeric: Numeric
    lanes: int
    clock_mhz: float | None
    schedule: str
    budget: float

    def key(self, board: Board) -> str:
        """Names the point by content: the same for a board of the same figures, whatever the file's path."""
        clock = "own" if self.clock_mhz is None else f"{self.clock_mhz:g}"
        return f"{digest(repr(board))} {self.numeric.label} l{self.lanes} {clock} {self.schedule} {self.budget:g}"


def digest(text: str | bytes) -> str:
    """Twelve hexadecimal digits that stand for a content."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:12]

"""The grid of a sweep: every combination of the values on its axes, in one fixed order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from ..board import at_clock, load_board, part_of
from ..circulant.blocks import BLOCKS
from ..errors import IntarsiaError
from ..quantise import QuantiseOptions
from ..schedule.search import KINDS
from ..schedule.word_widths import LANES
from .choice import Choice, Numeric

Value = TypeVar("Value")

SCHEDULES = tuple(kind for kind in KINDS if kind != "auto")
"""Kinds that can be points: `auto` is the best of them."""

BITS = ((4, 8), (8, 8), (16, 16))
BUDGETS = (25.0, 50.0, 100.0)


class GridError(IntarsiaError):
    """An axis is empty or has a value that cannot be."""


@dataclass(frozen=True)
class Grid:
    """Values by axis.

    `bits` are of weights and of activations; `circulant` are sizes of blocks, 1 for weights as they are; a clock of None
    is each board's own.

    Raises:
        GridError: an axis is empty, or a value is not allowed.
    """

    boards: Sequence[str] = ("kv260",)
    bits: Sequence[tuple[int, int]] = BITS
    circulant: Sequence[int] = (1,)
    lanes: Sequence[int] = LANES
    clocks_mhz: Sequence[float | None] = (None,)
    schedules: Sequence[str] = SCHEDULES
    budgets: Sequence[float] = BUDGETS

    def __post_init__(self) -> None:
        for option, values in (
            ("--board", self.boards),
            ("--bits", self.bits),
            ("--circulant", self.circulant),
            ("--lanes", self.lanes),
            ("--clock-mhz", self.clocks_mhz),
            ("--schedule", self.schedules),
            ("--budget", self.budgets),
        ):
            if not values:
                raise GridError(f"{option} has no value, so the grid is empty. Give one or several: 1,2,3")
        for weights, activations in self.bits:
            try:
                QuantiseOptions(weights, activations)
            except IntarsiaError as error:
                raise GridError(f"--bits {weights}x{activations}: {error}") from error
        _require_of("--circulant", self.circulant, (1, *BLOCKS))
        _require_of("--lanes", self.lanes, LANES)
        _require_of("--schedule", self.schedules, SCHEDULES)
        boards = [load_board(name) for name in self.boards]
        for clock in filter(None, self.clocks_mhz):
            at_clock(boards[0], clock)
        for budget in self.budgets:
            part_of(boards[0], budget)

    def choices(self) -> tuple[Choice, ...]:
        """Every point once; the last axis changes fastest, so that neighbours share most work."""
        numerics = [Numeric(*bits, size) for bits, size in product(self.bits, self.circulant)]
        axes = (self.boards, numerics, self.lanes, self.clocks_mhz, self.schedules, self.budgets)
        return tuple(dict.fromkeys(Choice(*values) for values in product(*axes)))


def _require_of(option: str, values: Sequence[Value], allowed: Sequence[Value]) -> None:
    for value in values:
        if value not in allowed:
            raise GridError(f"{option} must be of {', '.join(map(str, allowed))}, not {value}")


def boards_from(text: str) -> tuple[str, ...]:
    """Boards by name; files by absolute path, so that a point can be compiled from anywhere."""
    names = _values("--board", text, "names from `intarsia boards` or .toml files", str)
    return tuple(str(Path(name).absolute()) if name.endswith(".toml") else name for name in names)


def bits_from(text: str) -> tuple[tuple[int, int], ...]:
    """Widths: `8` for weights and activations, `4x8` for weights of 4 bits and activations of 8."""

    def one(part: str) -> tuple[int, int]:
        weights, _, activations = part.partition("x")
        return int(weights), int(activations or weights)

    return _values("--bits", text, "numbers, or pairs of weights x activations: 4,8,4x8", one)


def integers_from(option: str, text: str) -> tuple[int, ...]:
    """Integers."""
    return _values(option, text, "integers: 4,8,16", int)


def numbers_from(option: str, text: str) -> tuple[float, ...]:
    """Numbers."""
    return _values(option, text, "numbers: 100,150.5", float)


def schedules_from(text: str) -> tuple[str, ...]:
    """Kinds of schedules; `auto` stands for all of them."""
    names = _values("--schedule", text, f"of {', '.join(SCHEDULES)}", str)
    return SCHEDULES if names == ("auto",) else names


def _values(option: str, text: str, wanted: str, convert: Callable[[str], Value]) -> tuple[Value, ...]:
    """The values of a list with commas, each once."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(dict.fromkeys(convert(part) for part in parts))
    except ValueError as error:
        raise GridError(f"{option} must be {wanted}; not {text!r}") from error

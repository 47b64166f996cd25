"""A complete answer, and how answers compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from .problem import Candidate, Text

Placement = Literal["chip", "spilled"]


@dataclass(frozen=True, order=True)
class Objective:
    """What is minimised: the fields in this order.

    Attributes:
        cycles: phases, spills, and what of the loads is not hidden.
        spilled_words: off-chip words moved by spills: one write, and one read per later phase that reads the tensor.
        peak_words: on-chip words of the phase that needs most.
        text: per phase its candidate's text, and which of the tensors it makes are spilled. It tells any two solutions
            apart, so the best one is unique.
    """

    cycles: int
    spilled_words: int
    peak_words: int
    text: tuple[tuple[Text, tuple[str, ...]], ...]

    @property
    def costs(self) -> tuple[int, int, int]:
        """The objective without the tie-breaking text."""
        return self.cycles, self.spilled_words, self.peak_words


@dataclass(frozen=True)
class Solution:
    """Phases in time order.

    Attributes:
        phases: the chosen candidates.
        placements: for each tensor that a later phase reads, where it waits.
        objective: what `evaluate` says of the above.
        optimal: True if the solver proved that nothing has lower costs.
        lower_bound_cycles: cycles that the solver proved no solution can beat; equal to its own if optimal.
    """

    phases: tuple[Candidate, ...]
    placements: Mapping[str, Placement]
    objective: Objective
    optimal: bool
    lower_bound_cycles: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "placements", MappingProxyType(dict(self.placements)))

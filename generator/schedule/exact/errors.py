"""What can go wrong while solving."""

from __future__ import annotations

from ..plan import ScheduleError


class NoScheduleError(ScheduleError):
    """No legal sequence of phases exists, or none was found within the limits."""


class TooManyStatesError(ScheduleError):
    """The graph is too wide for the exact dynamic programme."""

    def __init__(self, states: int, downsets: int) -> None:
        super().__init__(
            f"more than {states} states over {downsets} downsets of the task graph: raise max_states, offer fewer "
            f"candidate phases, or give a beam width and do without the proof of optimality"
        )
        self.states = states
        self.downsets = downsets


class OverCapacityError(ValueError):
    """A phase needs more on-chip memory than there is."""

"""The cost model of time: cycles from the trip counts of the kernels' loops.

Every process is one loop with II = 1, so it takes trips + depth cycles; vendor reports agree with
loop = depth + II * (trips - 1) - 1 and function = loop + 2. The timed C-simulation (simulation/timed.py) is the
exact count for the same depths; this model is what the scheduler can afford for every candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .machine.hardware import Stage

PIPELINE_DEPTHS: Mapping[str, int] = MappingProxyType(
    {
        "fetch": 4,
        "window": 6,
        "mac": 12,
        "depthwise": 10,
        "post": 8,
        "combine": 8,
        "table": 5,
        "pool": 10,
        "tee": 3,
        "route": 3,
        "merge": 3,
        "collect": 4,
        "write_taps": 4,
        "prefetch": 70,
    }
)
"""By kernel: cycles from a word entering to its result leaving; assumed until a vendor report says otherwise."""

PHASE_OVERHEAD = 6
"""Cycles to start and finish the dataflow region once more."""


@dataclass(frozen=True)
class Flow:
    """When the words of a stream come: the first at cycle `start`, the last at cycle `end`, evenly between."""

    start: float
    end: float


def through(stage: Stage, inputs: Sequence[Flow] = ()) -> Flow:
    """The flow that a process makes of its inputs.

    It starts when the words it needs have come, at the mean rate of its slowest input; it ends after its own trips, and
    not before the last input word and its own tail.
    """
    depth = PIPELINE_DEPTHS[stage.kernel]
    words = max(stage.input_words, 1)
    start = max(
        (flow.start + (flow.end - flow.start) / words * (stage.fill_words - 1) + 1 for flow in inputs),
        default=0.0,
    )
    last = max((flow.end for flow in inputs), default=0.0)
    own = stage.trips - (stage.fill_words - 1)  # the words before its first result took an iteration each
    return Flow(start + depth, max(start + own, last + stage.tail_trips) + depth)

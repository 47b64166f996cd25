"""The cost model of time: cycles from the trip counts of the kernels' loops.

Every process is one loop, so it takes interval * (trips - 1) + depth cycles. The rules loop = depth + interval *
(trips - 1) - 1 and function = loop + 2 hold for 806 of 827 loops and 824 of 827 functions of public vendor reports
(docs/costs.md). The timed C-simulation (simulation/timed.py) is the exact count for the same depths and intervals; this model is
what the scheduler can afford for every candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

from .machine.hardware import Stage

PHASE_OVERHEAD = 6
"""Cycles to start and finish the dataflow region once more."""

SHARED = "shared"
"""In `Costs.factors`: what belongs to no unit, such as AXI masters, banks and switches."""


@dataclass(frozen=True)
class Pipeline:
    """The pipelined loop of a kernel: cycles from a word entering to its result leaving, and between two iterations."""

    depth: int
    interval: int = 1


@dataclass(frozen=True)
class Costs:
    """What the scheduler takes kernels and units to cost.

    Attributes:
        pipelines: by kernel function.
        factors: by kind of unit or `SHARED`, then by resource (`dsp`, `bram18`, `uram`, `lut`, `ff`): what estimates
            are multiplied by; 1 where absent.
        source: where the figures come from.
    """

    pipelines: Mapping[str, Pipeline]
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: str = "assumed"


ASSUMED = Costs(
    MappingProxyType(
        {
            "fetch": Pipeline(4),
            "fetch_view": Pipeline(6),
            "constant": Pipeline(3),
            "move": Pipeline(4),
            "transpose": Pipeline(6),
            "window": Pipeline(6),
            "mac": Pipeline(12),
            "circulant_direct": Pipeline(12),
            "circulant_exact": Pipeline(20),
            "circulant_fft": Pipeline(32),
            "depthwise": Pipeline(10),
            "post": Pipeline(8),
            "combine": Pipeline(8),
            "table": Pipeline(5),
            "interpolate": Pipeline(11),
            "pool": Pipeline(10),
            "norm_moments": Pipeline(8),
            "norm_inverse": Pipeline(72),
            "norm_scale": Pipeline(16),
            "softmax_maximum": Pipeline(6),
            "softmax_exponential": Pipeline(12),
            "softmax_factor": Pipeline(64),
            "softmax_scale": Pipeline(10),
            "tee": Pipeline(3),
            "route": Pipeline(3),
            "merge": Pipeline(3),
            "collect": Pipeline(4),
            "write_taps": Pipeline(4),
            "prefetch": Pipeline(70),
        }
    )
)
"""Before any vendor report; `prefetch` counts the latency of DRAM.

To the 12 cycles of a multiply-accumulate array, the exact form adds a cycle for each level of additions before and behind
the products of blocks of 8, as many as the spectra need for theirs and for two products with rounded twiddle factors.
"""

_in_force: ContextVar[Costs] = ContextVar("costs", default=ASSUMED)


def costs() -> Costs:
    """The costs in force."""
    return _in_force.get()


def pipeline(kernel: str) -> Pipeline:
    """The pipeline of a kernel, by the costs in force."""
    return _in_force.get().pipelines[kernel]


@contextmanager
def using(chosen: Costs) -> Iterator[None]:
    """Puts costs in force for all that is scheduled and timed inside, in this thread."""
    token = _in_force.set(chosen)
    try:
        yield
    finally:
        _in_force.reset(token)


@dataclass(frozen=True)
class Flow:
    """When the words of a stream come: the first at cycle `start`, the last at cycle `end`, evenly between."""

    start: float
    end: float


def through(stage: Stage, inputs: Sequence[Flow] = ()) -> Flow:
    """The flow that a process makes of its inputs.

    It starts when the words it needs have come, at the mean rate of its slowest input or at its own; it ends after its own
    trips, and not before the last input word and its own tail.
    """
    own = pipeline(stage.kernel)
    words = max(stage.input_words, 1)
    before = stage.fill_words - 1  # the words before its first result took an iteration each

    def cycles_per_word(flow: Flow) -> float:
        rate = (flow.end - flow.start) / words
        return max(rate, own.interval - 1 + min(rate, 1))

    start = max((flow.start + cycles_per_word(flow) * before + 1 for flow in inputs), default=0.0)
    last = max((flow.end for flow in inputs), default=0.0)
    end = max(start + own.interval * (stage.trips - before), last + own.interval * stage.tail_trips)
    return Flow(start + own.depth, end + own.depth)

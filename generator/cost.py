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
from math import ceil
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .machine.stage import Stage, Steps

PHASE_OVERHEAD = 6
"""Cycles to start and finish the dataflow region once more."""

RESTART = 2
"""Cycles from the end of a process to its start on the next sample of a launch; hls_kernels/timing.hpp has the same."""

SHARED = "shared"
"""In `Costs.factors`: what belongs to no unit, such as AXI masters, banks and switches."""


_FEW = 64
"""Points of a flow up to which none is left out."""

_TOLERANCE = 0.25
"""Cycles by which a point that is left out may be off."""


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
            "row_window": Pipeline(6),
            "stencil": Pipeline(12),
            "row_pool": Pipeline(8),
            "post": Pipeline(8),
            "combine": Pipeline(8),
            "table": Pipeline(5),
            "interpolate": Pipeline(11),
            "repeat": Pipeline(4),
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


@dataclass(frozen=True)
class DramTime:
    """What DRAM makes of the time of a phase, in cycles.

    Attributes:
        loading: before the phase: what it takes to load its weights.
        fetching: beside the phase: what it takes to fetch the weights of the next one.
        waiting: before the first word of tensors that waited in DRAM, and behind the last of one that will.
        moving: what the tensors of one sample take of the bandwidth.
        streaming: what the weights of the next phase take of it.
    """

    loading: int = 0
    fetching: int = 0
    waiting: int = 0
    moving: float = 0.0
    streaming: float = 0.0

    def launch(self, passed: int, samples: int) -> int:
        """Cycles of a phase through which so many samples pass in so many cycles if words come and go as from banks."""
        bandwidth = ceil(samples * self.moving + self.streaming)
        return self.loading + max(passed + self.waiting, self.fetching, bandwidth)


NO_DRAM = DramTime()


@dataclass(frozen=True)
class Dram:
    """How DRAM serves a design: bytes that all ports together move per cycle, and of a word of tensors and of weights.

    No port moves more than a word per cycle.
    """

    bytes_per_cycle: float
    word_bytes: int
    weight_bytes: int

    def weights(self, words: int) -> int:
        """Cycles to fetch so many words of weights; none where there are none."""
        rate = min(1.0, self.bytes_per_cycle / self.weight_bytes)
        return ceil(words / rate) + pipeline("prefetch").depth if words else 0

    def time(self, words: int, waits: int, loaded: int = 0, fetched: int = 0) -> DramTime:
        """What it makes of a phase.

        Args:
            words: of tensors, in both directions.
            waits: how often the phase waits for DRAM because of spilled tensors.
            loaded: words of weights, before the phase.
            fetched: words of weights, beside the phase.
        """
        return DramTime(
            loading=self.weights(loaded),
            fetching=self.weights(fetched) + PHASE_OVERHEAD if fetched else 0,
            waiting=waits * pipeline("prefetch").depth,
            moving=words * self.word_bytes / self.bytes_per_cycle,
            streaming=fetched * self.weight_bytes / self.bytes_per_cycle,
        )


@contextmanager
def using(chosen: Costs) -> Iterator[None]:
    """Puts costs in force for all that is scheduled and timed inside, in this thread."""
    token = _in_force.set(chosen)
    try:
        yield
    finally:
        _in_force.reset(token)


@dataclass(frozen=True, eq=False)
class Flow:
    """When the words of a stream come: word `words[n]` (from 1) in cycle `times[n]`, and those between evenly between.

    `end` is the cycle in which the process that makes them ends.
    """

    words: NDArray[np.float64]
    times: NDArray[np.float64]
    end: float


def through(stage: Stage, inputs: Sequence[Flow] = ()) -> Flow:
    """The flow that a process makes of its inputs, by the rules of the timed C-simulation with FIFOs that are deep enough.

    Iteration i starts no earlier than (i - 1) intervals after cycle 0, and so many intervals after the arrival of any word
    as there are iterations since the one that reads it. What a word adds to the first is its `wait`; the longest wait so
    far counts. All of it is piecewise linear, and computed where the pieces end.
    """
    own = pipeline(stage.kernel)
    if (
        stage.passes and own.interval == 1
    ):  # it keeps up with any flow, for no process sends more than a word per cycle
        (flow,) = inputs
        times = flow.times + (1 + own.depth)
        return Flow(flow.words, times, float(times[-1]))
    waits = [_waits(steps, flow, own.interval) for steps, flow in zip(stage.reads, inputs, strict=True)]
    writes = stage.writes
    marks = _within(writes.at, *(at for at, _ in waits))
    wait: NDArray[np.float64] | float = 0.0
    last = 0.0
    for at, longest in waits:
        wait = np.maximum(wait, np.interp(marks, at, longest, left=0.0))
        last = max(last, float(longest[-1]))
    words, times = _thinned(
        np.interp(marks, writes.at, writes.words), own.interval * (marks - 1) + wait + own.depth
    )
    return Flow(words, times, own.interval * (stage.trips - 1) + last + own.depth)


def busy(stage: Stage) -> int:
    """Cycles that a process takes for each sample of a launch, if it never waits: its loop, and the start on the next."""
    own = pipeline(stage.kernel)
    return own.interval * (stage.trips - 1) + own.depth + RESTART


def _waits(steps: Steps, flow: Flow, interval: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Iterations that read, and the longest wait up to each of them."""
    words = _within(steps.words, flow.words)
    at = np.interp(words, steps.words, steps.at)
    arrivals = np.interp(words, flow.words, flow.times) + 1
    return at, np.maximum.accumulate(arrivals - interval * (at - 1))


def _within(own: NDArray[np.float64], *others: NDArray[np.float64]) -> NDArray[np.float64]:
    """All of them in order, some perhaps twice, and none outside of its own."""
    merged = np.concatenate((own, *others))
    merged.sort()
    return np.clip(merged, own[0], own[-1])


def _thinned(
    words: NDArray[np.float64], times: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Without every other point that lies within a quarter of a cycle of the line through its neighbours."""
    if words.size < _FEW:
        return words, times
    before, here, after = slice(0, -2, 2), slice(1, -1, 2), slice(2, None, 2)
    count = min(words[here].size, words[after].size)
    span = np.maximum(words[after][:count] - words[before][:count], _TOLERANCE)
    share = (words[here][:count] - words[before][:count]) / span
    line = times[before][:count] + share * (times[after][:count] - times[before][:count])
    kept = np.ones(words.size, dtype=bool)
    kept[1 : 2 * count : 2] = np.abs(times[here][:count] - line) > _TOLERANCE
    return words[kept], times[kept]

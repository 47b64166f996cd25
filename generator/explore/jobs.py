"""The work of a sweep, cut into jobs that any process can do: each a pure function of the sources and the job.

What several points need is kept in the process that made it: the quantised graph of a numeric choice, and the cycles of
its phases.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from .. import passes
from ..board import Board
from ..errors import IntarsiaError
from ..frontend import import_model
from ..quantise import QuantiseOptions, quantise
from ..schedule.mixed import PhaseCosts
from ..task_graph import TaskGraph
from .choice import Choice, Numeric
from .cost import cost
from .quality import measure
from .sources import Sources

KEPT = 8
"""Numeric choices whose graphs a process keeps."""


@dataclass(frozen=True)
class Measure:
    """Find the quality of a numeric choice; `model` is the digest of the network that it belongs to."""

    numeric: Numeric
    model: str

    @property
    def key(self) -> str:
        """Unique in a sweep, whatever training has made of circulant weights."""
        return f"quality {self.model} {self.numeric.label}"


@dataclass(frozen=True)
class CostPoint:
    """Schedule and cost a point; `model` is the digest of the network that it belongs to."""

    choice: Choice
    board: Board
    model: str

    @property
    def key(self) -> str:
        """Unique in a sweep, whatever training has made of circulant weights."""
        return f"cost {self.model} {self.choice.key(self.board)}"


Job = Measure | CostPoint


@dataclass(frozen=True)
class Result:
    """What a job found.

    Attributes:
        key: the job's.
        value: fields of a Quality or a Cost; None if there is none.
        reason: why there is none.
        cpu_seconds: CPU time of the process that did it.
    """

    key: str
    value: dict[str, Any] | None
    reason: str | None
    cpu_seconds: float


def do(sources: Sources, job: Job) -> Result:
    """Do a job; what a user could mend becomes the reason of an infeasible point."""
    begin = time.process_time()
    value, reason = None, None
    try:
        numeric = job.numeric if isinstance(job, Measure) else job.choice.numeric
        graph = quantised_graph(sources, numeric)
        if isinstance(job, Measure):
            value = asdict(measure(sources, graph))
        else:
            value = asdict(cost(graph, job.choice, job.board, _phase_costs(sources, numeric)))
    except IntarsiaError as error:
        reason = str(error)
    return Result(job.key, value, reason, round(time.process_time() - begin, 3))


@lru_cache(maxsize=KEPT)
def quantised_graph(sources: Sources, numeric: Numeric) -> TaskGraph:
    """The integers of a numeric choice.

    Raises:
        IntarsiaError: the model cannot be quantised so.
    """
    network = sources.networks[numeric.circulant]
    if network.obstacle:
        raise IntarsiaError(network.obstacle)
    graph = passes.run(import_model(network.proto).graph)
    return quantise(graph, network.statistics, QuantiseOptions(numeric.weight_bits, numeric.activation_bits))


@lru_cache(maxsize=KEPT)
def _phase_costs(sources: Sources, numeric: Numeric) -> PhaseCosts:
    """Filled by the points of a numeric choice as they are scheduled."""
    return {}

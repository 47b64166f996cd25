"""The golden as a world."""

from __future__ import annotations

from dataclasses import dataclass

from intarsia import golden
from intarsia.task_graph import TaskGraph, Trace

from .runner import Array


@dataclass(frozen=True)
class GoldenRunner:
    """Exact integer arithmetic in NumPy; shows every tensor."""

    graph: TaskGraph
    name: str = "golden"

    def trace(self, inputs: dict[str, Array]) -> Trace:
        """Raw integers of every tensor."""
        return golden.run(self.graph, inputs)

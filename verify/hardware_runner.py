"""Fits the worlds that speak the driver's language to the verifier's.

Driver and manifest drop the batch axis of the ONNX shape: their arrays are (samples, *shape[1:]), as users have them.
"""

from __future__ import annotations

from dataclasses import dataclass

from intarsia.task_graph import TaskGraph

from .runner import Array, Runner, fault_of


@dataclass(frozen=True)
class HardwareRunner:
    """A C-simulation or a board, with the batch axis of 1 taken off its inputs and put back on its tensors."""

    runner: Runner
    graph: TaskGraph

    @property
    def name(self) -> str:
        """Name of the world."""
        return self.runner.name

    @property
    def fault(self) -> str:
        """What is wrong with the program that it runs, if the world can tell; an empty text otherwise."""
        return fault_of(self.runner)

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Raw integers; a tensor of a shape that is not the graph's stays as it is, for the comparison to report."""
        shapes = {name: tensor.shape for name, tensor in self.graph.tensors.items()}
        found = self.runner.trace(
            {name: raw.reshape(len(raw), *shapes[name][1:]) for name, raw in inputs.items()}
        )
        return {
            name: raw.reshape(len(raw), *shapes[name]) if raw.shape[1:] == shapes.get(name, ())[1:] else raw
            for name, raw in found.items()
        }

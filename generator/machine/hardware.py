"""What lowering, costing and timing need to know of a unit of the datapath, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..arithmetic.accumulator_bound import accumulator_bound
from ..arithmetic.requantisation import requantisation
from ..board import Resources
from ..task_graph import Task, TaskGraph
from .builder import Builder
from .run import Run
from .stage import Stage


@dataclass(frozen=True)
class UnitMemory:
    """A memory of a unit that may be in block RAM or in UltraRAM: `copies` of `entries` of so many `bits`.

    `role` ends its name in the emitted code, after the unit's.
    """

    role: str
    bits: int
    entries: int
    copies: int = 1


class Hardware(Protocol):
    """A unit sized for all the runs that the schedule gives it."""

    @property
    def name(self) -> str:
        """Name of the unit."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """What it does, in time order."""

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the unit's processes, from the streams of its input ports to its output stream."""

    def stages(self, phase: int) -> list[Stage]:
        """The processes that the run of a phase passes through, in order."""

    def loaded_bytes(self, phase: int) -> int:
        """Bytes of weights that a phase needs, where they are streamed."""

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Estimate of the unit with its memories."""


def sum_bits(graph: TaskGraph, task: Task) -> int:
    """Bits of a signed accumulator that never wraps, and that holds the clamp's bounds.

    Where it is rounded itself, not a product of it, it never wraps then either (hls_kernels/requantise.hpp).
    """
    if not requantisation(graph, task).scaled:
        return rounding_bits(graph, task)
    return max(accumulator_bound(graph, task).bit_length(), graph.output_tensor(task).number.bits) + 2


def rounding_bits(graph: TaskGraph, task: Task) -> int:
    """Bits of a signed integer that never wraps while the accumulator is multiplied, rounded and clamped.

    It holds the product, the rounding addend of half an output step, their sum, the zero point and the clamp's bounds.
    """
    found = requantisation(graph, task)
    product = (accumulator_bound(graph, task) * max(found.multipliers)).bit_length()
    output = max(graph.output_tensor(task).number.bits, found.zero.bit_length())
    return max(product, found.right, output) + 2


def words_of(graph: TaskGraph, tensor: str, lanes: int) -> int:
    """Words of a tensor in the layout of streams and memories: whole words per pixel."""
    info = graph.tensors[tensor]
    return info.pixels * -(-info.channels // lanes)

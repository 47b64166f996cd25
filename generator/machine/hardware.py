"""What lowering, costing and timing need to know of a unit of the datapath, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeVar

from ..arithmetic.accumulator_bound import accumulator_bound
from ..arithmetic.requantisation import requantisation
from ..board import Resources
from ..schedule.plan import ScheduleError, Unit
from ..task_graph import Task, TaskGraph
from ..work import Work
from .builder import Builder
from .run import Run
from .stage import Stage

SomeWork = TypeVar("SomeWork", bound=Work)


@dataclass(frozen=True)
class UnitMemory:
    """A memory of a unit that may be in block RAM or in UltraRAM: `copies` of `entries` of so many `bits`.

    `role` ends its name in the emitted code, after the unit's.
    """

    role: str
    bits: int
    entries: int
    copies: int = 1


@dataclass(frozen=True, eq=False)
class Hardware(ABC):
    """A unit sized for all the runs that the schedule gives it, which are in time order."""

    unit: Unit
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """Name of the unit."""
        return self.unit.name

    @abstractmethod
    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds the unit's processes, from the streams of its input ports to its output stream."""

    @abstractmethod
    def stages(self, phase: int) -> list[Stage]:
        """The processes that the run of a phase passes through, in order."""

    def loaded(self, phase: int) -> tuple[int, int]:
        """Entries of weights that a phase loads where they are streamed, and bytes of an entry in weights.bin."""
        return 0, 0

    @abstractmethod
    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Estimate of the unit with its memories."""


def work_of(graph: TaskGraph, task: Task, kind: type[SomeWork], unit: str) -> SomeWork:
    """What a task asks of a unit.

    Args:
        graph: quantised task graph.
        task: one of its tasks.
        kind: of work that the unit does.
        unit: what does it, with an article.

    Raises:
        ScheduleError: the task is of another kind.
    """
    work = task.operator.work(task, graph)
    if not isinstance(work, kind):
        raise ScheduleError(f"task {task.name!r} ({task.operator.name}) cannot run on {unit}")
    return work


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

"""Collects the processes, streams, programs and parameters of a machine while lowering walks the datapath."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..fixed_point import Integers
from ..schedule.plan import Schedule
from ..task_graph import TaskGraph
from .machine import Config, Constant, OnChip, Process, Stream
from .pack import to_bytes
from .rows import Row

LINK_DEPTH = 16
"""Words between units, before FIFO sizing."""

CHAIN_DEPTH = 2
"""Words between the processes of one unit, which keep step."""


@dataclass
class Builder:
    """Grows by one process at a time, in datapath order; local to one call of `lower`.

    `ids` maps the names of units to C++ identifiers.
    """

    graph: TaskGraph
    schedule: Schedule
    element_bytes: int
    ids: Mapping[str, str]
    configs: list[Config] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    parameters: list[OnChip] = field(default_factory=list)
    weights: bytearray = field(default_factory=bytearray)

    def stream(self, name: str, carries: str, word: str = "word_t", depth: int = LINK_DEPTH) -> str:
        """Declares a FIFO; returns its name."""
        self.streams.append(Stream(name, word, depth, carries))
        return name

    def process(self, function: str, config: str, *arguments: str) -> None:
        """Adds a line to the dataflow region."""
        self.processes.append(Process(function, config, arguments))

    def config(
        self,
        name: str,
        purpose: str,
        rows: Sequence[Row],
        comment: Callable[[int], str],
        constants: Sequence[Constant] = (),
    ) -> None:
        """Adds the config struct of a process, with its program of one row per phase."""
        table = tuple((row,) for row in rows)
        comments = tuple(comment(phase) for phase in range(len(table)))
        self.configs.append(Config(name, purpose, tuple(constants), table, comments))

    def parameter(
        self,
        name: str,
        word: str,
        size: str,
        blocks: Sequence[Integers],
        element_bytes: int,
        copies: str = "",
    ) -> str:
        """Declares an on-chip memory, and appends its content to weights.bin; returns its name.

        Args:
            name: of the memory.
            word: C++ type of an entry.
            size: C++ expression of the number of entries.
            blocks: entries, (number, elements) each, of the tasks one after the other.
            element_bytes: bytes of an element in weights.bin.
            copies: C++ expression of the number of copies, if there are to be several.
        """
        entries = np.concatenate(list(blocks))
        word_bytes = self.schedule.lanes * self.element_bytes
        offset = len(self.weights) // word_bytes
        self.weights += to_bytes(entries, element_bytes, word_bytes)
        comment = f"{len(entries)} entries of {entries.shape[1]}"
        self.parameters.append(OnChip(name, word, len(entries), size, comment, element_bytes, offset, copies))
        return name

    def by_phase(self, tasks: Sequence[str], rows: Sequence[Row], idle: Row) -> list[Row]:
        """Rows of a unit's tasks, spread over the phases."""
        of_task = dict(zip(tasks, rows, strict=True))
        return [of_task[task] if task else idle for task in self.task_in_phase(tasks)]

    def task_in_phase(self, tasks: Sequence[str]) -> list[str]:
        """For each phase, the one of `tasks` that runs in it, or an empty name."""
        return [next((task for task in phase.tasks if task in tasks), "") for phase in self.schedule.phases]

    def task_comment(self, tasks: Sequence[str]) -> Callable[[int], str]:
        """Comment of a program row: the task and the ONNX nodes that it stands for."""
        names = self.task_in_phase(tasks)

        def comment(phase: int) -> str:
            if not names[phase]:
                return "idle"
            task = self.graph.task(names[phase])
            nodes = ", ".join(task.onnx_nodes)
            return f"{task.name}: {nodes}" if nodes and nodes != task.name else task.name

        return comment

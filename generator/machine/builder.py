"""Collects the processes, streams, programs and parameters of a machine while lowering walks the datapath."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..fixed_point import Integers
from ..schedule.plan import Schedule
from ..task_graph import TaskGraph
from .constants import Constant
from .machine import Config, OnChip, Process, Stream
from .pack import to_bytes
from .rows import PrefetchRow, Row
from .run import Run

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
    streamed: list[OnChip] = field(default_factory=list)
    streams_of_phase: list[dict[str, Integers]] = field(default_factory=list)
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
        steps: tuple[int, ...] = (),
    ) -> None:
        """Adds the config struct of a process, with its program of one row per phase, and a table of steps of its nests."""
        table = tuple((row,) for row in rows)
        comments = tuple(comment(phase) for phase in range(len(table)))
        self.configs.append(Config(name, purpose, tuple(constants), table, comments, steps=steps))

    def unit_config(
        self,
        name: str,
        purpose: str,
        runs: Sequence[Run],
        rows: Sequence[Row],
        idle: Row,
        constants: Sequence[Constant],
        steps: tuple[int, ...] = (),
    ) -> None:
        """The same for a process of a unit: `rows` are those of its runs, and `idle` that of all other phases."""
        of_phase = {run.phase: row for run, row in zip(runs, rows, strict=True)}
        program = [of_phase.get(phase, idle) for phase in range(len(self.schedule.phases))]
        self.config(name, purpose, program, self.comment(runs), constants, steps)

    def parameter(
        self,
        name: str,
        word: str,
        size: str,
        blocks: Sequence[Integers],
        element_bytes: int,
        copies: str = "",
        rows: str = "",
    ) -> str:
        """Declares an on-chip memory, and appends its content to weights.bin; returns its name.

        Args:
            name: of the memory.
            word: C++ type of an entry.
            size: C++ expression of the number of entries.
            blocks: entries, (number, elements) each, of the tasks one after the other.
            element_bytes: bytes of an element in weights.bin.
            copies: C++ expression of the number of copies, if there are to be several.
            rows: C++ expression of the number of words of an entry, if there are several.
        """
        entries = np.concatenate(list(blocks))
        offset = self._append(entries, element_bytes)
        comment = _entries(len(entries), entries.shape[1])
        self.parameters.append(
            OnChip(name, word, len(entries), size, comment, element_bytes, offset, copies, rows)
        )
        return name

    def stream_weights(
        self,
        name: str,
        word: str,
        size: str,
        runs: Sequence[Run],
        blocks: Sequence[Integers],
        element_bytes: int,
        rows: str,
    ) -> str:
        """Declares a memory of weights that holds those of one phase at a time; returns its name.

        Args:
            name: of the memory.
            word: C++ type of an entry.
            size: C++ expression of the number of entries.
            runs: the unit's runs.
            blocks: entries of each run.
            element_bytes: bytes of an element in weights.bin.
            rows: C++ expression of the number of words of an entry.
        """
        most = max(map(len, blocks))
        comment = f"{_entries(most, blocks[0].shape[1])}, of one phase"
        self.streamed.append(OnChip(name, word, most, size, comment, element_bytes, rows=rows))
        if not self.streams_of_phase:
            self.streams_of_phase = [{} for _ in self.schedule.phases]
        for run, block in zip(runs, blocks, strict=True):
            self.streams_of_phase[run.phase][name] = block
        return name

    def finish_streams(self) -> tuple[list[PrefetchRow], list[int]]:
        """Appends the streamed weights to weights.bin, phase by phase.

        Returns:
            What to fetch for each phase, and its DRAM words.
        """
        rows = []
        words = []
        for blocks in self.streams_of_phase:
            start = len(self.weights) // self._word_bytes
            for memory in self.streamed:
                if memory.name in blocks:
                    self._append(blocks[memory.name], memory.element_bytes)
            entries = tuple(len(blocks.get(memory.name, ())) for memory in self.streamed)
            rows.append(PrefetchRow(start, entries))
            words.append(len(self.weights) // self._word_bytes - start)
        return rows, words

    @property
    def _word_bytes(self) -> int:
        return self.schedule.weight_bytes or self.schedule.lanes * self.element_bytes

    def _append(self, entries: Integers, element_bytes: int) -> int:
        offset = len(self.weights) // self._word_bytes
        self.weights += to_bytes(entries, element_bytes, self._word_bytes)
        return offset

    def comment(self, runs: Sequence[Run]) -> Callable[[int], str]:
        """Comment of a program row: the task and the ONNX nodes that it stands for."""
        of_phase = {run.phase: run for run in runs}

        def comment(phase: int) -> str:
            if phase not in of_phase:
                return "idle"
            run = of_phase[phase]
            nodes = ", ".join(run.task.onnx_nodes)
            name = (
                run.task.name
                if run.words is None
                else f"{run.task.name} words {run.words[0]} to {run.words[1]}"
            )
            return f"{name}: {nodes}" if nodes and nodes != name else name

        return comment


def _entries(count: int, elements: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'} of {elements}"

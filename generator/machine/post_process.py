"""The post process behind a multiply-accumulate array: bias, rounding and clamp, and its line in the datapath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..board import Resources
from ..fixed_point import Integers
from ..requantisation import requantisation
from ..task_graph import TaskGraph
from .builder import Builder
from .hardware import Stage, sum_bits
from .identifiers import camel_case
from .machine import Constant
from .pack import pack_biases
from .resources import bram18
from .rows import PostRow
from .run import Run
from .window import groups


@dataclass(frozen=True, eq=False)
class PostProcess:
    """A post process sized for several tasks; `made` are the output channels that it makes of each of them."""

    graph: TaskGraph
    runs: tuple[Run, ...]
    made: tuple[slice, ...]
    rows: tuple[PostRow, ...]
    outputs: int
    entries: int
    sum_bits: int
    per_channel: bool
    lanes: int

    @property
    def sum_type(self) -> Constant:
        """Type of the sums that come in."""
        return Constant("sum_t", f"integer<{self.sum_bits}>", "never wraps: range analysis", is_type=True)

    def place(self, builder: Builder, unit: str, sums: str, output: str) -> None:
        """Adds the process and its biases."""
        name = builder.ids[unit]
        struct = f"{camel_case(name)}Post"
        builder.config(
            struct,
            "bias, rounding, clamp",
            builder.by_phase(self.runs, self.rows, PostRow()),
            builder.comment(self.runs),
            (
                Constant("kOutputs", str(self.outputs), "output channels per pass"),
                Constant("kLanes", "kWordLanes"),
                Constant("kBiasEntries", str(self.entries)),
                Constant(
                    "kBiasLanes",
                    "2 * kWordLanes" if self.per_channel else "kWordLanes",
                    "biases, then further shifts" if self.per_channel else "biases",
                ),
                self.sum_type,
                Constant("output_t", "element_t", is_type=True),
            ),
        )
        biases = builder.parameter(
            f"{name}_biases",
            f"vec<{struct}::sum_t, {struct}::kBiasLanes>",
            f"{struct}::kBiasEntries",
            self._biases(),
            4 if self.sum_bits <= 32 else 8,
        )
        builder.process("post", struct, sums, biases, output)

    def stage(self, index: int, sums: int) -> Stage:
        """The process as the cost model times it for one task, which brings so many words of sums."""
        return Stage("post", self.rows[index].iterations, sums)

    def resources(self) -> Resources:
        """Rounding shifters and the bias memory."""
        return Resources(
            dsp=0,
            bram18=bram18((1 + self.per_channel) * self.lanes * self.sum_bits, self.entries),
            uram=0,
            lut=self.lanes * self.sum_bits * 8 + 600,
            ff=(self.lanes + self.outputs) * self.sum_bits * 3 + 800,
        )

    def _biases(self) -> list[Integers]:
        """Bias entries of each task; with the channels' further shifts where some task has them."""
        blocks = []
        for run, made in zip(self.runs, self.made, strict=True):
            task = run.task
            channels = self.graph.output_tensor(task).channels
            bias = task.values.get("bias", np.zeros(channels, np.int64))
            columns = [bias]
            if self.per_channel:
                columns.append(requantisation(self.graph, task).further_shifts(channels))
            blocks.append(pack_biases([column[made] for column in columns], self.lanes))
        return blocks


def size_post(
    graph: TaskGraph,
    runs: Sequence[Run],
    made: Sequence[slice],
    steps: Sequence[int],
    outputs: int,
    lanes: int,
) -> PostProcess:
    """The post process of a unit.

    Args:
        graph: the quantised graph.
        runs: runs of the unit.
        made: output channels that each run makes.
        steps: steps per pixel of each run.
        outputs: sums that come at once.
        lanes: elements per word.
    """
    tasks = [run.task for run in runs]
    found = [requantisation(graph, task) for task in tasks]
    rows: list[PostRow] = []
    entries = 0
    for task, channels, count, numbers in zip(tasks, made, steps, found, strict=True):
        pixels = graph.output_tensor(task).pixels
        rows.append(PostRow(pixels * count, count, entries, min(numbers.shifts), numbers.low, numbers.high))
        entries += groups(channels.stop - channels.start, lanes)
    return PostProcess(
        graph=graph,
        runs=tuple(runs),
        made=tuple(made),
        rows=tuple(rows),
        outputs=outputs,
        entries=entries,
        sum_bits=max(sum_bits(graph, task) for task in tasks),
        per_channel=any(numbers.per_channel for numbers in found),
        lanes=lanes,
    )

"""The post process behind a multiply-accumulate array: bias, rounding and clamp, and its line in the datapath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ...arithmetic.requantisation import MULTIPLIER_BITS, requantisation
from ...board import Resources
from ...fixed_point import Integers
from ...task_graph import Task, TaskGraph
from ..builder import Builder
from ..constants import LANES, OUTPUT, Constant
from ..hardware import rounding_bits, sum_bits
from ..identifiers import camel_case
from ..pack import pack_biases
from ..resources import bram18
from ..rows import Row
from ..run import Run
from ..stage import Stage, Steps
from .window import groups

_SCALED = 3
"""Sections of a bias entry where sums are multiplied."""


@dataclass(frozen=True)
class PostRow(Row):
    """post.hpp: bias, rounding and clamp of a task."""

    struct: ClassVar[str] = "post_row"
    header: ClassVar[str] = "post.hpp"

    iterations: int = 0
    steps: int = 0
    biases: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0
    zero: int = 0
    rounding: int = 0


@dataclass(frozen=True, eq=False)
class PostProcess:
    """A post process sized for several tasks; `made` are the output channels that it makes of each of them.

    An entry of the bias memory has 1 to 3 `sections`: biases, further shifts, multipliers.
    """

    graph: TaskGraph
    runs: tuple[Run, ...]
    made: tuple[slice, ...]
    rows: tuple[PostRow, ...]
    outputs: int
    entries: int
    sum_bits: int
    wide_bits: int
    sections: int
    lanes: int

    @property
    def sum_type(self) -> Constant:
        """Type of the sums that come in."""
        return Constant.integer("sum_t", self.sum_bits, "never wraps: range analysis")

    def place(self, builder: Builder, unit: str, sums: str, output: str) -> None:
        """Adds the process and its biases."""
        name = builder.ids[unit]
        struct = f"{camel_case(name)}Post"
        builder.unit_config(
            struct,
            "bias, rounding, clamp",
            self.runs,
            self.rows,
            PostRow(),
            (
                Constant("kOutputs", str(self.outputs), "output channels per pass"),
                LANES,
                Constant("kBiasEntries", str(self.entries)),
                Constant(
                    "kBiasLanes",
                    f"{self.sections} * kWordLanes" if self.sections > 1 else "kWordLanes",
                    ", then ".join(("biases", "further shifts", "multipliers")[: self.sections]),
                ),
                Constant.flag("kDirected", any(row.rounding for row in self.rows)),
                self.sum_type,
                Constant.integer("wide_t", self.wide_bits, "what is rounded"),
                OUTPUT,
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

    def stage(self, index: int, folds: int) -> Stage:
        """The process as the cost model times it for one task, which brings so many words of sums per pixel."""
        row = self.rows[index]
        return post_stage(row.iterations, row.steps, folds, self.outputs, self.lanes)

    @property
    def bias_memory(self) -> tuple[int, int]:
        """Bits of an entry, and entries."""
        return self.sections * self.lanes * self.sum_bits, self.entries

    def resources(self) -> Resources:
        """Rounding shifters and the bias memory."""
        return Resources(
            dsp=4 * min(self.lanes, self.outputs) if self.sections == _SCALED else 0,
            bram18=bram18(*self.bias_memory),
            uram=0,
            lut=self.lanes * self.wide_bits * 8 + 600,
            ff=(self.lanes + self.outputs) * self.wide_bits * 3 + 800,
        )

    def _biases(self) -> list[Integers]:
        """Bias entries of each task; with the channels' further shifts and multipliers where some task has them."""
        blocks = []
        for run, made in zip(self.runs, self.made, strict=True):
            task = run.task
            channels = self.graph.output_tensor(task).channels
            found = requantisation(self.graph, task)
            columns = [
                folded_bias(self.graph, task),
                found.further_shifts(channels),
                found.channel_multipliers(channels),
            ][: self.sections]
            blocks.append(pack_biases([column[made] for column in columns], self.lanes))
        return blocks


@lru_cache(maxsize=4096)
def post_stage(iterations: int, steps: int, folds: int, outputs: int, lanes: int) -> Stage:
    """The post process as the cost model times it.

    Args:
        iterations: of its loop.
        steps: of these, for each pixel.
        folds: words of sums for each pixel.
        outputs: sums of a word.
        lanes: elements of an output word.
    """
    pixels = iterations // steps
    folds_per_word = max(lanes // outputs, 1)
    last_read = (folds - 1) * max(outputs // lanes, 1) + 1
    words = -(-steps // folds_per_word)
    return Stage(
        "post",
        iterations,
        (Steps.of((1, 1), (folds, last_read), (pixels * folds, iterations - steps + last_read)),),
        Steps.of((1, min(folds_per_word, steps)), (words, steps), (pixels * words, iterations)),
        passes=folds == words == steps,
    )


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
    sections = _SCALED if any(one.scaled for one in found) else 1 + any(one.per_channel for one in found)
    rows: list[PostRow] = []
    entries = 0
    for task, channels, count, numbers in zip(tasks, made, steps, found, strict=True):
        pixels = graph.output_tensor(task).pixels
        rows.append(
            PostRow(
                iterations=pixels * count,
                steps=count,
                biases=entries,
                shift=min(numbers.shifts),
                low=numbers.low,
                high=numbers.high,
                zero=numbers.zero,
                rounding=numbers.rounding.value,
            )
        )
        entries += groups(channels.stop - channels.start, lanes)
    return PostProcess(
        graph=graph,
        runs=tuple(runs),
        made=tuple(made),
        rows=tuple(rows),
        outputs=outputs,
        entries=entries,
        sum_bits=max(
            [sum_bits(graph, task) for task in tasks] + [MULTIPLIER_BITS + 1] * (sections == _SCALED)
        ),
        wide_bits=max(rounding_bits(graph, task) for task in tasks),
        sections=sections,
        lanes=lanes,
    )


def folded_bias(graph: TaskGraph, task: Task) -> Integers:
    """The bias of raw inputs: less what their zero point adds to every sum. Padded inputs are zero points themselves."""
    if not task.operator.weight_roles:  # computed operands, which have no zero points
        return np.zeros(graph.output_tensor(task).channels, np.int64)
    (role,) = task.operator.weight_roles
    weights = task.values[role].astype(np.int64)
    bias = task.values.get("bias", np.zeros(len(weights), np.int64))
    zero = graph.input_tensors(task)[0].number.zero
    folded: Integers = bias - zero * weights.reshape(len(weights), -1).sum(axis=1)
    one_channel = len(folded) == 1
    return np.broadcast_to(folded, graph.output_tensor(task).channels) if one_channel else folded

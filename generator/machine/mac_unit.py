"""The mac unit: window -> mac -> post, with its weights and biases on chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..board import Resources
from ..fixed_point import Integers
from ..golden import accumulator_exponent, clamp_bounds
from ..schedule.plan import MacUnit, ScheduleError
from ..task_graph import Task, TaskGraph
from ..work import MacWork
from .builder import CHAIN_DEPTH, Builder
from .hardware import Stage, sum_bits, words_of
from .identifiers import camel_case
from .machine import Constant
from .pack import pack_biases, pack_weights
from .resources import add, bram18
from .rows import MacRow, PostRow
from .window import groups
from .window_process import WindowProcess, size_window


@dataclass(frozen=True, eq=False)
class MacHardware:
    """A mac unit with the memories and rows of its tasks, in the order of `tasks`."""

    unit: MacUnit
    tasks: tuple[str, ...]
    window: WindowProcess
    macs: tuple[MacRow, ...]
    posts: tuple[PostRow, ...]
    weights: tuple[Integers, ...]
    biases: tuple[Integers, ...]
    weight_bits: int
    sum_bits: int

    @property
    def name(self) -> str:
        """Name of the unit."""
        return self.unit.name

    def place(self, builder: Builder, inputs: tuple[str, ...], output: str) -> None:
        """Adds window, mac and post."""
        name = builder.ids[self.name]
        struct = camel_case(name)
        patches = self.window.place(builder, self.name, self.tasks, inputs[0])
        sums = builder.stream(
            f"{name}_sums", "sums of one fold", f"vec<{struct}Mac::sum_t, {struct}Mac::kOutputs>", CHAIN_DEPTH
        )
        self._configure(builder, struct)
        weights = builder.parameter(
            f"{name}_weights",
            f"vec<{struct}Mac::weight_t, {struct}Mac::kOutputs * kWordLanes>",
            f"{struct}Mac::kWeightEntries",
            self.weights,
            1 if self.weight_bits <= 8 else 2,
        )
        biases = builder.parameter(
            f"{name}_biases",
            f"vec<{struct}Post::sum_t, kWordLanes>",
            f"{struct}Post::kBiasEntries",
            self.biases,
            4 if self.sum_bits <= 32 else 8,
        )
        builder.process("mac", f"{struct}Mac", patches, weights, sums)
        builder.process("post", f"{struct}Post", sums, biases, output)

    def _configure(self, builder: Builder, struct: str) -> None:
        comment = builder.task_comment(self.tasks)
        common = (
            Constant("kOutputs", str(self.unit.outputs), "output channels per pass"),
            Constant("kLanes", "kWordLanes"),
        )
        sum_type = Constant("sum_t", f"integer<{self.sum_bits}>", "never wraps: range analysis", is_type=True)
        builder.config(
            f"{struct}Mac",
            f"{self.unit.outputs} x {builder.schedule.lanes} multipliers",
            builder.by_phase(self.tasks, self.macs, MacRow()),
            comment,
            (
                *common,
                Constant("kPatchWords", str(self.patch_words), "longest patch"),
                Constant("kWeightEntries", str(sum(map(len, self.weights)))),
                Constant("input_t", "element_t", is_type=True),
                Constant("weight_t", f"integer<{self.weight_bits}>", is_type=True),
                sum_type,
            ),
        )
        builder.config(
            f"{struct}Post",
            "bias, rounding, clamp",
            builder.by_phase(self.tasks, self.posts, PostRow()),
            comment,
            (
                *common,
                Constant("kBiasEntries", str(sum(map(len, self.biases)))),
                sum_type,
                Constant("output_t", "element_t", is_type=True),
            ),
        )

    @property
    def patch_words(self) -> int:
        """Longest patch, in words."""
        return max(row.words for row in self.macs)

    def stages(self, task: str) -> list[Stage]:
        """Window, mac and post."""
        index = self.tasks.index(task)
        row, post = self.macs[index], self.posts[index]
        pixels = row.iterations // (row.folds * row.words)
        return [
            *self.window.stage(index),
            Stage("mac", row.iterations, pixels * row.words, row.words, (row.folds - 1) * row.words + 1),
            Stage("post", post.iterations, pixels * row.folds),
        ]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """One DSP per multiplier; adders and the rounding shifters in LUTs."""
        multipliers = self.unit.outputs * lanes
        own = Resources(
            dsp=multipliers,
            bram18=bram18(multipliers * self.weight_bits, sum(map(len, self.weights)))
            + bram18(lanes * self.sum_bits, sum(map(len, self.biases)))
            + bram18(lanes * element_bits, self.patch_words),
            uram=0,
            lut=multipliers * 10 + lanes * self.sum_bits * 8 + 600,
            ff=multipliers * 16 + (lanes + self.unit.outputs) * self.sum_bits * 3 + 800,
        )
        return add(own, self.window.resources(lanes, element_bits))


def mac_steps(outputs: int, channels: int, lanes: int) -> tuple[int, int]:
    """Folds of the mac process, and steps of the post process, per pixel."""
    folds = -(-channels // outputs)
    return folds, folds if outputs < lanes else groups(channels, lanes)


def build_mac(
    graph: TaskGraph,
    unit: MacUnit,
    tasks: Sequence[Task],
    lanes: int,
    linked: Sequence[bool],
    shares: Sequence[tuple[int, int] | None],
) -> MacHardware:
    """Sizes a mac unit for its tasks.

    Args:
        graph: quantised task graph.
        unit: the unit.
        tasks: its tasks, in time order.
        lanes: elements per word.
        linked: for each task, whether its input comes from another unit in the same phase.
        shares: for each task, the range of output words of every pixel that the unit makes; None for all.

    Raises:
        ScheduleError: a task is of another kind.
    """
    works = [_work(graph, task) for task in tasks]
    window = size_window(
        works, [0] * len(works), [words_of(graph, task.inputs[0], lanes) for task in tasks], lanes, linked
    )
    macs: list[MacRow] = []
    posts: list[PostRow] = []
    weights: list[Integers] = []
    biases: list[Integers] = []
    for task, work, plan, share in zip(tasks, works, window.patches, shares, strict=True):
        made = _made(work, share, lanes)
        folds, steps = mac_steps(unit.outputs, made.stop - made.start, lanes)
        macs.append(MacRow(work.pixels * folds * plan.words, folds, plan.words, sum(map(len, weights))))
        output = graph.output_tensor(task).number
        low, high = clamp_bounds(task, output)
        shift = output.exponent - accumulator_exponent(graph, task)
        posts.append(PostRow(work.pixels * steps, steps, sum(map(len, biases)), shift, low, high))
        by_position = task.operator.weights_by_position(task, graph)[made]
        weights.append(pack_weights(by_position, plan.way, lanes, unit.outputs))
        biases.append(pack_biases(_bias(task, work.outputs)[made], lanes))
    return MacHardware(
        unit=unit,
        tasks=tuple(task.name for task in tasks),
        window=window,
        macs=tuple(macs),
        posts=tuple(posts),
        weights=tuple(weights),
        biases=tuple(biases),
        weight_bits=max(task.parameters[r].number.bits for task in tasks for r in task.operator.weight_roles),
        sum_bits=max(sum_bits(graph, task) for task in tasks),
    )


def _made(work: MacWork, share: tuple[int, int] | None, lanes: int) -> slice:
    """Output channels that the unit makes."""
    first, end = share or (0, groups(work.outputs, lanes))
    return slice(first * lanes, min(end * lanes, work.outputs))


def _bias(task: Task, outputs: int) -> Integers:
    import numpy as np

    return task.values["bias"] if "bias" in task.values else np.zeros(outputs, np.int64)


def _work(graph: TaskGraph, task: Task) -> MacWork:
    work = task.operator.work(task, graph)
    if not isinstance(work, MacWork):
        raise ScheduleError(f"task {task.name!r} ({task.operator.name}) cannot run on a mac unit")
    return work

"""The golden: what every world must compute, in exact integer arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .fixed_point import FixedPoint, Floats, Integers
from .operator import Array
from .task_graph import Task, TaskGraph, Trace


def run(graph: TaskGraph, inputs: Mapping[str, Integers]) -> Trace:
    """Raw integers of every tensor of a quantised graph.

    Args:
        graph: quantised task graph.
        inputs: raw integers of each graph input, of shape (samples, *tensor shape).
    """
    trace: Trace = {name: np.asarray(inputs[name], dtype=np.int64) for name in graph.inputs}
    for task in graph.tasks:
        trace[task.output] = run_task(graph, task, [trace[name] for name in task.inputs])
    return trace


def run_task(graph: TaskGraph, task: Task, inputs: Sequence[Integers]) -> Integers:
    """Raw output integers of one task: exact accumulation, one rounding, clamp."""
    accumulation = task.operator.accumulate(inputs, task.values)
    output = graph.output_tensor(task).number
    low, high = clamp_bounds(task, output)
    rounded = output.cast(accumulation.values, accumulator_exponent(graph, task), accumulation.divisor)
    return np.clip(rounded, low, high)


def accumulator_exponent(graph: TaskGraph, task: Task) -> int:
    """Exponent of the accumulator's unit."""
    operands = [tensor.number.exponent for tensor in graph.input_tensors(task)]
    weights = [task.parameters[role].number.exponent for role in task.operator.weight_roles]
    return task.operator.exponent(operands, weights)


def clamp_bounds(task: Task, output: FixedPoint) -> tuple[int, int]:
    """The task's clamp in raw integers of its output format, within the format's range."""
    low, high = (
        bound if math.isinf(bound) else int(output.quantise(np.asarray(bound))) for bound in task.clamp
    )
    return (
        int(max(low, output.minimum)),
        int(min(high, output.maximum)),
    )


def run_float(graph: TaskGraph, inputs: Mapping[str, Array]) -> dict[str, Floats]:
    """Real values of every tensor of a float graph, by the same operators, in float64."""
    trace: dict[str, Floats] = {name: np.asarray(inputs[name], dtype=np.float64) for name in graph.inputs}
    for task in graph.tasks:
        accumulation = task.operator.accumulate([trace[name] for name in task.inputs], task.values)
        trace[task.output] = np.clip(accumulation.values / accumulation.divisor, *task.clamp)
    return trace

"""The golden: what every world must compute, in exact integer arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .fixed_point import Floats, Integers
from .operator import Array
from .requantisation import requantisation
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
    """Raw output integers of one task: exact accumulation, one rounding, clamp; or what the operator evaluates."""
    if not task.operator.accumulates:
        return task.operator.evaluate(inputs, task.values)
    accumulators = task.operator.accumulate(inputs, task.values)
    return requantisation(graph, task).apply(accumulators, graph.output_tensor(task).channel_axis)


def run_float(graph: TaskGraph, inputs: Mapping[str, Array]) -> dict[str, Floats]:
    """Real values of every tensor of a float graph, by the same operators, in float64."""
    trace: dict[str, Floats] = {name: np.asarray(inputs[name], dtype=np.float64) for name in graph.inputs}
    for task in graph.tasks:
        accumulators = task.operator.accumulate([trace[name] for name in task.inputs], task.values)
        trace[task.output] = np.clip(accumulators / task.operator.divisor, *task.clamp)
    return trace

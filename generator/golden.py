"""The golden: what every world must compute, in exact integer arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from .arithmetic.accumulator_bound import accumulator_bound
from .arithmetic.exact import exact_type
from .arithmetic.requantisation import requantisation
from .fixed_point import Floats, Integers
from .operator import Array
from .task_graph import Task, TaskGraph, Trace

Number = type[np.float32 | np.float64 | np.int64]


def run(graph: TaskGraph, inputs: Mapping[str, Integers]) -> Trace:
    """Raw integers of every tensor of a quantised graph.

    Args:
        graph: quantised task graph.
        inputs: raw integers of each graph input, of shape (samples, *tensor shape).
    """
    trace: Trace = {name: np.asarray(inputs[name], dtype=np.int64) for name in graph.inputs}
    samples = len(next(iter(trace.values())))
    for task in graph.tasks:
        result = run_task(graph, task, [trace[name] for name in task.inputs])
        trace[task.output] = result if task.inputs else np.repeat(result, samples, axis=0)
    return trace


def run_task(graph: TaskGraph, task: Task, inputs: Sequence[Integers]) -> Integers:
    """Raw output integers of one task: exact accumulation, one rounding, clamp; or what the operator evaluates.

    A task without inputs gives one sample.
    """
    if not task.operator.accumulates:
        return task.operator.evaluate(inputs, task.values)
    kind = _accumulator_type(graph, task, inputs)
    zeros = [tensor.number.zero for tensor in graph.input_tensors(task)]
    centred = [raw - zero if zero else raw for raw, zero in zip(inputs, zeros, strict=True)]
    operands = [values.astype(kind, copy=False) for values in centred]
    accumulators = task.operator.accumulate(operands, _parameters(task, kind))
    return requantisation(graph, task).apply(accumulators, graph.output_tensor(task).channel_axis)


def _accumulator_type(graph: TaskGraph, task: Task, inputs: Sequence[Integers]) -> Number:
    """By range analysis; integers where an input is beyond its format, as faulty hardware may send it."""
    for tensor, values in zip(graph.input_tensors(task), inputs, strict=True):
        number = tensor.number
        if values.size and (values.min() < number.minimum or values.max() > number.maximum):
            return np.int64
    return exact_type(accumulator_bound(graph, task))


_converted: WeakKeyDictionary[Task, tuple[Number, dict[str, Array]]] = WeakKeyDictionary()


def _parameters(task: Task, kind: Number) -> dict[str, Array]:
    """A task's parameters in another type, kept as long as the task: weights are converted once."""
    known = _converted.get(task)
    if known is None or known[0] is not kind:
        known = kind, {role: values.astype(kind, copy=False) for role, values in task.values.items()}
        _converted[task] = known
    return known[1]


def run_float(graph: TaskGraph, inputs: Mapping[str, Array]) -> dict[str, Floats]:
    """Real values of every tensor of a float graph, by the same operators, in float64."""
    trace: dict[str, Floats] = {name: np.asarray(inputs[name], dtype=np.float64) for name in graph.inputs}
    for task in graph.tasks:
        trace[task.output] = run_float_task(task, [trace[name] for name in task.inputs])
    return trace


def run_float_task(task: Task, inputs: Sequence[Floats]) -> Floats:
    """Real output of one float task for float64 inputs of shape (samples, *tensor shape)."""
    result: Floats = np.clip(
        task.operator.accumulate(inputs, task.values) / task.operator.divisor, *task.clamp
    )
    return result

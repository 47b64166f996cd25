"""The golden: what every world must compute, in exact integer arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod
from weakref import WeakKeyDictionary

import numpy as np

from .arithmetic.accumulator_bound import accumulator_bound
from .arithmetic.exact import exact_type
from .arithmetic.requantisation import requantisation
from .arithmetic.threads import on_all_processors, one_blas_thread, processors
from .fixed_point import Floats, Integers
from .operator import Array
from .task_graph import Task, TaskGraph, Tensor, Trace

Number = type[np.float32 | np.float64 | np.int64]

_CACHED_ELEMENTS = 1 << 20
"""Of the largest tensor of the samples that go through all tasks together: 4 MB of float32."""


def run(graph: TaskGraph, inputs: Mapping[str, Integers]) -> Trace:
    """Raw integers of every tensor of a quantised graph.

    Samples go through all tasks in blocks that stay in the cache, on as many threads as there are processors.

    Args:
        graph: quantised task graph.
        inputs: raw integers of each graph input, of shape (samples, *tensor shape).
    """
    given: Trace = {name: np.asarray(inputs[name], dtype=np.int64) for name in graph.inputs}
    samples = len(next(iter(given.values())))
    trace = given | _rooms(samples, {task.output: graph.output_tensor(task) for task in graph.tasks})

    def run_block(block: slice) -> None:
        known = {name: _whole_floats(graph.tensors[name], given[name][block]) for name in graph.inputs}
        for task in graph.tasks:
            room = trace[task.output][block]
            room[...] = result = run_task(graph, task, [known[name] for name in task.inputs])
            result = result if task.inputs else room
            known[task.output] = _whole_floats(graph.output_tensor(task), result)
            for name in set(task.inputs):
                if graph.consumers[name][-1] is task:
                    del known[name]

    cached = max(1, _CACHED_ELEMENTS // max(prod(tensor.shape) for tensor in graph.tensors.values()))
    size = max(1, min(cached, -(-samples // processors())))
    with one_blas_thread():
        on_all_processors(run_block, [slice(first, first + size) for first in range(0, samples, size)])
    return trace


def run_task(graph: TaskGraph, task: Task, inputs: Sequence[Array]) -> Array:
    """Raw output of one task: exact accumulation, one rounding, clamp; or what the operator evaluates.

    A task without inputs gives one sample.

    Args:
        graph: quantised task graph.
        task: one of its tasks.
        inputs: raw operands of shape (samples, *tensor shape): any integers, or whole floats within their formats.

    Returns:
        Integers; where operands are floats maybe whole floats.
    """
    if not task.operator.accumulates:
        return task.operator.evaluate([_integers(values) for values in inputs], task.values)
    kind = _accumulator_type(graph, task, inputs)
    zeros = [tensor.number.zero for tensor in graph.input_tensors(task)]
    operands = [values.astype(kind, copy=False) for values in inputs]
    centred = [values - zero if zero else values for values, zero in zip(operands, zeros, strict=True)]
    accumulators = task.operator.accumulate(centred, _parameters(task, kind))
    result = requantisation(graph, task).apply(accumulators, graph.output_tensor(task).channel_axis)
    return result if any(values.dtype.kind == "f" for values in inputs) else _integers(result)


def _accumulator_type(graph: TaskGraph, task: Task, inputs: Sequence[Array]) -> Number:
    """By range analysis; integers where an input is beyond its format, as faulty hardware may send it."""
    for tensor, values in zip(graph.input_tensors(task), inputs, strict=True):
        if values.dtype.kind != "f" and not _within(tensor, values):
            return np.int64
    return exact_type(accumulator_bound(graph, task))


def _within(tensor: Tensor, values: Integers) -> bool:
    number = tensor.number
    return not values.size or bool(values.min() >= number.minimum and values.max() <= number.maximum)


def _whole_floats(tensor: Tensor, raw: Array) -> Array:
    """Raw integers as floats if they are within the tensor's format, and floats hold all of that; else as they are."""
    if raw.dtype.kind == "f" or not _within(tensor, raw):
        return raw
    return raw.astype(exact_type(max(-tensor.number.minimum, tensor.number.maximum)), copy=False)


def _integers(values: Array) -> Integers:
    return values.astype(np.int64, copy=False)


def _rooms(samples: int, tensors: Mapping[str, Tensor]) -> Trace:
    """Memory for samples of all tensors: in one piece, which is much cheaper to ask for than many small ones.

    Channels lie side by side, as operators make them.
    """
    sizes = [samples * prod(tensor.shape) for tensor in tensors.values()]
    memory = np.empty(sum(sizes), np.int64)
    rooms: Trace = {}
    for (name, tensor), end in zip(tensors.items(), accumulate(sizes), strict=True):
        shape, axis = (samples, *tensor.shape), tensor.channel_axis + 1
        last = len(shape) - 1
        room = memory[end - prod(shape) : end].reshape(*shape[:axis], *shape[axis + 1 :], shape[axis])
        rooms[name] = room.transpose(*range(axis), last, *range(axis, last))
    return rooms


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
    with one_blas_thread():
        for task in graph.tasks:
            trace[task.output] = run_float_task(task, [trace[name] for name in task.inputs])
    return trace


def run_float_task(task: Task, inputs: Sequence[Floats]) -> Floats:
    """Real output of one float task for float64 inputs of shape (samples, *tensor shape)."""
    result: Floats = np.clip(
        task.operator.accumulate(inputs, task.values) / task.operator.divisor, *task.clamp
    )
    return result

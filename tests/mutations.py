"""Known faults for the verifier to find, for any quantised graph: which task is hurt is chosen by what its samples excite.

A fault of a graph is a graph that computes something else in one task. It can be put into every world: exported as QDQ
model, run as the golden, emitted as C++, given to an emulated board.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np

from intarsia.arithmetic.integer_softmax import SoftmaxNumbers
from intarsia.arithmetic.requantisation import requantisation
from intarsia.arithmetic.rounding import divide
from intarsia.fixed_point import ChannelFormat, Rounding
from intarsia.golden import run_task
from intarsia.operator import Array
from intarsia.ops.combine import Combine, Sub
from intarsia.ops.convolution import Convolution
from intarsia.ops.dense import Dense
from intarsia.ops.max_pool import MaxPool
from intarsia.ops.rows import from_rows, to_rows
from intarsia.ops.softmax import Softmax
from intarsia.task_graph import UNBOUNDED, Parameter, Task, TaskGraph, Trace

ALL = frozenset({"quantised", "golden", "csim", "board"})
INTEGER = ALL - {"quantised"}
"""Worlds that keep what the QDQ model, whose operators are float ones, does not have: tables, shifts."""


@dataclass(frozen=True)
class Fault:
    """A changed graph, the layer that it hurts, and the worlds where it makes sense."""

    name: str
    layer: str
    graph: TaskGraph
    worlds: frozenset[str] = ALL


Change = Callable[[TaskGraph, Task], Iterator[Task]]
"""Faulty versions of a task, the likeliest to be seen first; none where the fault does not apply."""


def faults(graph: TaskGraph, trace: Trace) -> list[Fault]:
    """Each kind of fault at the first and at the last task that it applies to and whose result it changes.

    Args:
        graph: a quantised graph.
        trace: what the golden gives for the inputs that will be verified: a fault that changes nothing there is none.
    """
    found = []
    for name, (change, worlds) in CHANGES.items():
        hurt = [(task, other) for task in graph.tasks if (other := _visible(graph, task, change, trace))]
        for task, other in hurt[:1] + hurt[1:][-1:]:
            tasks = tuple(other if one is task else one for one in graph.tasks)
            found.append(Fault(name, task.name, replace(graph, tasks=tasks), worlds))
    return found


def _visible(graph: TaskGraph, task: Task, change: Change, trace: Trace) -> Task | None:
    """The first version of the task that gives something else for the inputs of the trace."""
    for other in change(graph, task):
        changed = replace(graph, tasks=tuple(other if one is task else one for one in graph.tasks))
        result = run_task(changed, other, [trace[name] for name in other.inputs])
        if not np.array_equal(result, trace[task.output]):
            return other
    return None


def _with(task: Task, role: str, values: Array) -> Task:
    parameter = replace(task.parameters[role], values=np.ascontiguousarray(values))
    return replace(task, parameters={**task.parameters, role: parameter})


def _weight(task: Task) -> Parameter | None:
    return task.parameters.get("weight")


def _one_weight(graph: TaskGraph, task: Task) -> Iterator[Task]:
    for role in {"weight", "gamma"} & task.parameters.keys():
        weight = task.parameters[role].values
        order = np.argsort(-np.abs(weight.reshape(-1)), kind="stable")[:32]
        for place in order:
            values = weight.copy()
            values.reshape(-1)[place] //= 2
            yield _with(task, role, values)


def _one_bias(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if bias := task.parameters.get("bias"):
        step = 1 << max(0, requantisation(graph, task).right)
        for place in range(min(16, bias.values.size)):
            values = bias.values.copy()
            values.reshape(-1)[place] += step
            yield _with(task, "bias", values)


def _bias_dropped(graph: TaskGraph, task: Task) -> Iterator[Task]:
    for role in {"bias", "beta"} & task.parameters.keys():
        yield _with(task, role, np.zeros_like(task.parameters[role].values))


def _kernel_transposed(graph: TaskGraph, task: Task) -> Iterator[Task]:
    weight = _weight(task)
    if (
        weight is not None
        and weight.values.ndim == 4
        and weight.values.shape[2] == weight.values.shape[3] > 1
    ):
        yield _with(task, "weight", weight.values.swapaxes(2, 3))


def _kernel_flipped(graph: TaskGraph, task: Task) -> Iterator[Task]:
    weight = _weight(task)
    if weight is not None and weight.values.ndim == 4 and weight.values.shape[3] > 1:
        yield _with(task, "weight", weight.values[..., ::-1])


def _outputs_permuted(graph: TaskGraph, task: Task) -> Iterator[Task]:
    weight = _weight(task)
    if weight is not None and len(weight.values) > 1:
        yield _with(task, "weight", weight.values[::-1])


def _inputs_permuted(graph: TaskGraph, task: Task) -> Iterator[Task]:
    weight = _weight(task)
    if weight is not None and weight.values.ndim > 1 and weight.values.shape[1] > 1:
        yield _with(task, "weight", weight.values[:, ::-1])


def _matrix_transposed(graph: TaskGraph, task: Task) -> Iterator[Task]:
    weight = _weight(task)
    if weight is not None and weight.values.ndim == 2 and min(weight.values.shape) > 1:
        yield _with(task, "weight", weight.values.T.reshape(weight.values.shape))


def _address_off_by_one(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if weight := _weight(task):
        yield _with(task, "weight", np.roll(weight.values.reshape(-1), 1).reshape(weight.values.shape))


def _low_bit_lost(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if weight := _weight(task):
        yield _with(task, "weight", weight.values & ~1)


def _exponent(graph: TaskGraph, task: Task, channels: slice) -> Iterator[Task]:
    """Weights of these output channels stand for twice what they did; biases are in the accumulator's unit."""
    parameters = dict(task.parameters)
    for role in (*task.operator.weight_roles, "bias"):
        if role in parameters:
            number = parameters[role].number
            if isinstance(number, ChannelFormat):
                powers = list(number.exponents)
                powers[channels] = [power + 1 for power in powers[channels]]
                other = ChannelFormat(number.bits, tuple(powers))
                parameters[role] = replace(parameters[role], format=other)
            elif channels != slice(None):
                return
            else:
                other_whole = replace(number, exponent=number.exponent + 1)
                parameters[role] = replace(parameters[role], format=other_whole)
    if task.operator.weight_roles:
        yield replace(task, parameters=parameters)


def _wrong_exponent(graph: TaskGraph, task: Task) -> Iterator[Task]:
    yield from _exponent(graph, task, slice(None))


def _wrong_exponent_of_a_channel(graph: TaskGraph, task: Task) -> Iterator[Task]:
    for channel in range(8):
        yield from _exponent(graph, task, slice(channel, channel + 1))


def _padding_shifted(graph: TaskGraph, task: Task) -> Iterator[Task]:
    operator = task.operator
    if isinstance(operator, Convolution | MaxPool):
        top, left, bottom, right = operator.pads
        if bottom:
            yield replace(task, operator=replace(operator, pads=(top + 1, left, bottom - 1, right)))
        if right:
            yield replace(task, operator=replace(operator, pads=(top, left + 1, bottom, right - 1)))


def _stride_off_by_one(graph: TaskGraph, task: Task) -> Iterator[Task]:
    """As many results as before: beyond the image there are zeros."""
    operator = task.operator
    if isinstance(operator, Convolution):
        height, width = graph.output_tensor(task).shape[-2:]
        if graph.output_tensor(task).shape[2:] != (height, width) or min(height, width) < 2:
            return
        top, left, bottom, right = operator.pads
        stride = operator.stride[0], operator.stride[1] + 1
        yield replace(
            task, operator=replace(operator, stride=stride, pads=(top, left, bottom, right + width - 1))
        )


def _relu_lost(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if task.clamp != UNBOUNDED:
        yield replace(task, clamp=UNBOUNDED)


def _clamped_too_early(graph: TaskGraph, task: Task) -> Iterator[Task]:
    """A third of the output range."""
    number = graph.output_tensor(task).number
    yield replace(task, clamp=(task.clamp[0], min(task.clamp[1], number.maximum // 3 * number.scale)))


def _window_short(graph: TaskGraph, task: Task) -> Iterator[Task]:
    """A pool that leaves out the last column of its windows, where as many windows fit as before."""
    operator = task.operator
    if isinstance(operator, MaxPool) and not any(operator.pads) and operator.kernel[1] > 1:
        spare = graph.input_tensors(task)[0].shape[-1] - operator.kernel[1]
        if (spare + 1) // operator.stride[1] == spare // operator.stride[1]:
            yield replace(
                task, operator=replace(operator, kernel=(operator.kernel[0], operator.kernel[1] - 1))
            )


def _swapped_operands(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if isinstance(task.operator, Sub):
        operator = replace(task.operator, shifts=task.operator.shifts[::-1])
        yield replace(task, operator=operator, inputs=task.inputs[::-1])


def _operand_scale_lost(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if isinstance(task.operator, Combine) and any(task.operator.shifts):
        yield replace(task, operator=replace(task.operator, shifts=(0, 0)))


def _one_table_entry(graph: TaskGraph, task: Task) -> Iterator[Task]:
    if "table" in task.parameters:
        table = task.parameters["table"].values
        number = graph.output_tensor(task).number
        for entry in range(len(table)):
            values = table.copy()
            values[entry] += 1 if values[entry] < number.maximum else -1
            yield _with(task, "table", values)


def _mask_lost(graph: TaskGraph, task: Task) -> Iterator[Task]:
    """A causal softmax that sees one element more in every row."""
    operator = task.operator
    if isinstance(operator, Softmax) and operator.period:
        yield replace(task, operator=replace(operator, first=operator.first + 1))


def _table_shifted(graph: TaskGraph, task: Task) -> Iterator[Task]:
    for role in {"table", "bases", "fine"} & task.parameters.keys():
        yield _with(task, role, np.roll(task.parameters[role].values, 1))


CHANGES: Mapping[str, tuple[Change, frozenset[str]]] = {
    "one weight": (_one_weight, ALL),
    "one bias": (_one_bias, ALL),
    "bias dropped": (_bias_dropped, ALL),
    "kernel transposed": (_kernel_transposed, ALL),
    "kernel flipped": (_kernel_flipped, ALL),
    "output channels permuted": (_outputs_permuted, ALL),
    "input channels permuted": (_inputs_permuted, ALL),
    "matrix transposed": (_matrix_transposed, ALL),
    "weight address off by one": (_address_off_by_one, ALL),
    "lowest bit of weights lost": (_low_bit_lost, ALL),
    "wrong exponent": (_wrong_exponent, ALL),
    "wrong exponent of a channel": (_wrong_exponent_of_a_channel, ALL),
    "padding shifted by one": (_padding_shifted, ALL),
    "stride off by one": (_stride_off_by_one, ALL),
    "ReLU lost": (_relu_lost, ALL),
    "clamped too early": (_clamped_too_early, ALL),
    "window a column short": (_window_short, ALL),
    "operands swapped": (_swapped_operands, ALL),
    "operand not aligned": (_operand_scale_lost, INTEGER),
    "mask shifted by one": (_mask_lost, ALL),
    "one table entry": (_one_table_entry, INTEGER),
    "table shifted by one": (_table_shifted, INTEGER),
}


def allowed(graph: TaskGraph, task: Task, inputs: list[Array], result: Array) -> bool:
    """True if a result is within what the operator states against the real function, though the golden gives another one.

    No comparison with the QDQ model can call that wrong; only one with an integer twin can.
    """
    operator, number = task.operator, graph.output_tensor(task).number
    if not operator.real_error:
        return False
    real = [
        tensor.number.dequantise(raw) for tensor, raw in zip(graph.input_tensors(task), inputs, strict=True)
    ]
    values = {
        role: parameter.values * np.array(parameter.number.scales)
        for role, parameter in task.parameters.items()
        if parameter.format is not None
    }
    found = requantisation(graph, task)
    steps = operator.accumulate(real, values) / number.scale + number.zero
    return bool(np.abs(result - np.clip(steps, found.low, found.high)).max() <= operator.real_error)


Run = Callable[[TaskGraph, Task, list[Array]], Array]
"""A `golden.run_task` that is not the right one."""


def _sums(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """Exact accumulators in int64."""
    numbers = [tensor.number for tensor in graph.input_tensors(task)]
    centred = [raw - number.zero for raw, number in zip(inputs, numbers, strict=True)]
    return task.operator.accumulate(centred, task.values)


def run_task_rounding_down(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """Floor instead of half to even."""
    if not task.operator.accumulates:
        with rounding_results(lambda raw, shift: divide(raw, 1, shift, Rounding.FLOOR)):
            return run_task(graph, task, inputs)
    found = replace(requantisation(graph, task), rounding=Rounding.FLOOR)
    return found.apply(_sums(graph, task, inputs), graph.output_tensor(task).channel_axis)


def run_task_rounding_up(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """Ties go up instead of to even, where there is no more to do than to shift."""
    found = requantisation(graph, task)
    if not task.operator.accumulates or found.scaled or found.divisor != 1 or min(found.shifts) < 0:
        return run_task(graph, task, inputs)
    axis = graph.output_tensor(task).channel_axis
    halves = [(1 << shift) >> 1 for shift in found.shifts]
    along = [-1 if place == axis + 1 else 1 for place in range(len(graph.output_tensor(task).shape) + 1)]
    sums = _sums(graph, task, inputs) + np.array(halves).reshape(along if len(halves) > 1 else -1)
    return replace(found, rounding=Rounding.FLOOR).apply(sums, axis)


@contextmanager
def rounding_results(rounded: Callable[[Array, int], Array]) -> Iterator[None]:
    """Row algorithms that round their results in another way: the only divisions that know their shift in advance."""

    def other(raw: Array, divisor: int, shift: Any, rounding: Rounding = Rounding.HALF_EVEN) -> Array:
        return rounded(raw, shift) if isinstance(shift, int) else divide(raw, divisor, shift, rounding)

    with (
        patch("intarsia.arithmetic.integer_norm.divide", other),
        patch("intarsia.arithmetic.integer_softmax.divide", other),
    ):
        yield


def run_task_from_the_rail(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """A softmax that does not take the maximum of its row off, but the largest number of its format."""
    operator = task.operator
    if not isinstance(operator, Softmax) or operator.log:
        return run_task(graph, task, inputs)
    fine, coarse = task.values["fine"], task.values["coarse"]
    numbers = SoftmaxNumbers.of_array(task.values["numbers"])
    if len(coarse) > 1:
        return run_task(graph, task, inputs)
    rows = to_rows(inputs[0], operator.axis)
    counts = np.arange(rows.shape[1]) < operator.limits(inputs[0])[:, np.newaxis]
    rail = graph.input_tensors(task)[0].number.maximum
    exponentials = np.where(counts, fine[np.where(counts, rail - rows, 0)], 0)
    sums = exponentials.sum(axis=1, keepdims=True)
    exact = exponentials * ((numbers.numerator + (sums >> 1)) // np.maximum(sums, 1))
    result = np.clip(divide(exact, 1, numbers.shift) + numbers.zero, numbers.low, numbers.high)
    return from_rows(result, inputs[0], operator.axis)


def run_task_wrapping(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """A matrix product keeps only the low bits of what is above its format."""
    if not isinstance(task.operator, Convolution | Dense):
        return run_task(graph, task, inputs)
    found = requantisation(graph, task)
    tensor = graph.output_tensor(task)
    sums = _sums(graph, task, inputs)
    wide = replace(found, low=found.low, high=1 << 40).apply(sums, tensor.channel_axis)
    span = tensor.number.maximum - tensor.number.minimum + 1
    return (wide - tensor.number.minimum) % span + tensor.number.minimum


def run_task_on_one_operand(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """`golden.run_task`, but a sum or product reads its first operand twice."""
    if isinstance(task.operator, Combine):
        inputs = [inputs[0], inputs[0]]
    return run_task(graph, task, inputs)


def first_layer_hurt(
    graph: TaskGraph, trace: Trace, run: Callable[[TaskGraph, Task, list[Array]], Array]
) -> str | None:
    """The first task that gives something else for right inputs, if all tasks are run so; None if there is none."""
    for task in graph.tasks:
        if not np.array_equal(run(graph, task, [trace[name] for name in task.inputs]), trace[task.output]):
            return task.name
    return None

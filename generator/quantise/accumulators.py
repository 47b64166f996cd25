"""Range analysis: how large each task's accumulator can become, for any input at all.

Nothing wraps because every accumulator is as wide as this bound asks for; a task that would need more than 62
bits is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import frexp

from ..arithmetic.accumulator_bound import WIDEST, accumulator_bound
from ..arithmetic.requantisation import mantissas_cancel, requantisation
from ..errors import IntarsiaError
from ..task_graph import Task, TaskGraph

FLOAT32_EXACT = 1 << 24
"""Whole numbers below it are float32 numbers, and so are their sums."""


class RangeError(IntarsiaError):
    """An accumulator does not fit the widest integers the system computes with."""


@dataclass(frozen=True)
class AccumulatorRange:
    """What range analysis proves about one task.

    `float32_exact`: ONNX Runtime's float32 arithmetic on the QDQ model gives the same integers as the golden,
    whatever the input and the order of summation; else the last bit of an output may differ. `scales_exact` says
    that it is not for scales that are no powers of two.
    """

    bound: int
    bits: int
    float32_exact: bool
    scales_exact: bool = True


def accumulator_ranges(graph: TaskGraph) -> Mapping[str, AccumulatorRange]:
    """Range of the accumulator of every task of a quantised graph, by task name.

    Raises:
        RangeError: an accumulator, or the shift to its output, is wider than 62 bits.
    """
    return {task.name: _range(graph, task) for task in graph.tasks}


def accumulator_bits(graph: TaskGraph) -> Mapping[str, int]:
    """Bits of a signed integer that holds the accumulator (bias included, before rounding), by task name.

    Raises:
        RangeError: an accumulator, or the shift to its output, is wider than 62 bits.
    """
    return {name: found.bits for name, found in accumulator_ranges(graph).items()}


def _range(graph: TaskGraph, task: Task) -> AccumulatorRange:
    if not task.operator.accumulates:
        bits = graph.output_tensor(task).number.bits
        return AccumulatorRange(1 << (bits - 1), bits, True)
    bound = accumulator_bound(graph, task)
    bits = bound.bit_length() + 1
    if bits > WIDEST:
        raise RangeError(
            f"task {task.name!r} ({task.operator.name}): its accumulator needs {bits} bits; at most {WIDEST} are "
            "allowed. Use fewer --weight-bits or --activation-bits, or split the layer"
        )
    found = requantisation(graph, task)
    product = (bound << found.left) * max(found.multipliers)
    widest = max(product.bit_length() + 1, (found.divisor << found.right).bit_length())
    if widest > WIDEST or (min(found.shifts) < 0 and found.divisor == 1 and found.scaled):
        raise RangeError(
            f"task {task.name!r} ({task.operator.name}): its {bits}-bit accumulator would need {widest} bits "
            f"on the way to the format of {task.output!r}, whose step is {graph.output_tensor(task).number.scale:g}; "
            f"{WIDEST} are allowed. Check that the model's weights and the calibration samples are of an "
            "ordinary size"
        )
    scales_exact = _scales_are_exact(graph, task)
    exact = bound < FLOAT32_EXACT and scales_exact
    if found.divisor > 1:
        # A quotient is rounded once more by float32. It falls on the right side of every rounding border while the
        # quotient is below 2**23 / denominator, because its distance to a border is at least 1 / (2 * denominator);
        # beyond the output's range the side does not matter.
        saturated = ((1 << graph.output_tensor(task).number.bits - 1) + 1) * found.divisor << found.right
        exact = exact and min(bound << found.left, saturated) < FLOAT32_EXACT // 2
    return AccumulatorRange(bound, bits, exact, scales_exact)


def _scales_are_exact(graph: TaskGraph, task: Task) -> bool:
    """True if float32 multiplies and divides by the task's scales without rounding, or if the QDQ model avoids it."""
    if mantissas_cancel(graph, task):
        return True
    tensors = (*graph.input_tensors(task), graph.output_tensor(task))
    scales = [number.scale for number in (tensor.number for tensor in tensors)]
    for role in task.operator.weight_roles:
        scales += task.parameters[role].number.scales
    return all(frexp(scale)[0] == 0.5 for scale in scales)

"""Range analysis: how large each task's accumulator can become, for any input at all.

Nothing wraps because every accumulator is as wide as this bound asks for; a task that would need more than 62
bits is refused (fixed_point.divide_half_even needs one bit of head room in int64).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..errors import IntarsiaError
from ..requantisation import requantisation
from ..task_graph import Task, TaskGraph

WIDEST = 62
_FLOAT32_EXACT = 1 << 24


class RangeError(IntarsiaError):
    """An accumulator does not fit the widest integers the system computes with."""


@dataclass(frozen=True)
class AccumulatorRange:
    """What range analysis proves about one task.

    `float32_exact`: ONNX Runtime's float32 arithmetic on the QDQ model gives the same integers as the golden,
    whatever the input and the order of summation; else the last bit of an output may differ.
    """

    bound: int
    bits: int
    float32_exact: bool


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


@lru_cache(maxsize=1024)  # it reads all weights, and schedulers ask for every unit they consider
def accumulator_bound(graph: TaskGraph, task: Task) -> int:
    """Largest |accumulator| of a quantised task, over all inputs that the formats allow."""
    inputs = graph.input_tensors(task)
    magnitudes = [max(-tensor.number.minimum, tensor.number.maximum) for tensor in inputs]
    return task.operator.accumulator_bound(magnitudes, task.values, inputs)


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
    widest = max((bound << found.left).bit_length() + 1, (found.divisor << found.right).bit_length())
    if widest > WIDEST or (min(found.shifts) < 0 and task.operator.divisor == 1):
        raise RangeError(
            f"task {task.name!r} ({task.operator.name}): its {bits}-bit accumulator would be shifted by "
            f"{_span(found.shifts)} bits to the format of {task.output!r}; that needs {widest} bits, and {WIDEST} are "
            "allowed, of which none to the left. Check that the model's weights and the calibration samples are of an "
            "ordinary size"
        )
    exact = bound < _FLOAT32_EXACT
    if task.operator.divisor > 1:
        # A quotient is rounded once more by float32. It falls on the right side of every rounding border while the
        # quotient is below 2**23 / denominator, because its distance to a border is at least 1 / (2 * denominator);
        # beyond the output's range the side does not matter.
        saturated = ((1 << graph.output_tensor(task).number.bits - 1) + 1) * found.divisor << found.right
        exact = exact and min(bound << found.left, saturated) < _FLOAT32_EXACT // 2
    return AccumulatorRange(bound, bits, exact)


def _span(shifts: tuple[int, ...]) -> str:
    low, high = min(shifts), max(shifts)
    return str(low) if low == high else f"{low} to {high}"

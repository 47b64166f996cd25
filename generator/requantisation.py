"""Requantisation: how a task's exact accumulator becomes its output.

Golden, QDQ model, range analysis and hardware all read it from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .fixed_point import FixedPoint, Integers, divide_half_even
from .task_graph import Task, TaskGraph


@dataclass(frozen=True)
class Requantisation:
    """output = clamp(round_half_even(accumulator / (divisor * 2**shift)), low, high).

    Attributes:
        shifts: right shifts, one for all channels or one for each output channel. Negative ones are left shifts;
            they occur only where a divisor leaves more than whole numbers.
        divisor: odd; powers of two are in the shifts.
        low: the task's clamp in raw output integers, within the range of the format.
        high: likewise.
    """

    shifts: tuple[int, ...]
    divisor: int
    low: int
    high: int

    @property
    def per_channel(self) -> bool:
        """True if channels differ in their shifts."""
        return len(self.shifts) > 1

    @property
    def left(self) -> int:
        """Largest left shift of an accumulator before the division."""
        return max(0, -min(self.shifts))

    @property
    def right(self) -> int:
        """Largest right shift."""
        return max(0, *self.shifts)

    def further_shifts(self, channels: int) -> Integers:
        """How far each output channel is shifted beyond the smallest shift."""
        shifts = np.array(self.shifts, dtype=np.int64)
        return np.broadcast_to(shifts - shifts.min(), (channels,))

    def apply(self, accumulators: Integers | NDArray[np.floating], channel_axis: int) -> Integers:
        """Raw outputs of exact accumulators of shape (samples, *tensor shape), integers or whole floats.

        Whole floats are rounded as they are where that is exact: scaled by powers of two, half to even.
        """
        shift: int | Integers = self.shifts[0]
        if self.per_channel:
            along = [1] * accumulators.ndim
            along[channel_axis + 1] = -1
            shift = np.array(self.shifts, dtype=np.int64).reshape(along)
        if accumulators.dtype.kind == "f" and self.divisor == 1:
            scaled = accumulators * np.exp2(-np.asarray(shift, dtype=accumulators.dtype))
            np.clip(np.rint(scaled, out=scaled), self.low, self.high, out=scaled)
            return scaled.astype(np.int64)
        integers = accumulators.astype(np.int64, copy=False)
        return np.clip(divide_half_even(integers, self.divisor, shift), self.low, self.high)


@lru_cache(maxsize=1024)
def requantisation(graph: TaskGraph, task: Task) -> Requantisation:
    """The requantisation of a task of a quantised graph: it follows from the formats of operands and output."""
    output = graph.output_tensor(task).number
    operands = [tensor.number.exponent for tensor in graph.input_tensors(task)]
    units = accumulator_exponents(task, operands)
    divisor = task.operator.divisor
    twos = (divisor & -divisor).bit_length() - 1
    low, high = _clamp_bounds(task, output)
    return Requantisation(tuple(output.exponent - unit + twos for unit in units), divisor >> twos, low, high)


def accumulator_exponents(task: Task, operands: list[int]) -> tuple[int, ...]:
    """Exponents of the accumulator's unit, one for all or one for each output channel.

    Args:
        task: task with quantised parameters.
        operands: exponents of its inputs.
    """
    weights = (task.parameters[role].number.exponents for role in task.operator.weight_roles)
    total = np.sum(np.broadcast_arrays([task.operator.exponent(operands)], *weights), axis=0)
    return tuple(int(unit) for unit in total)


def _clamp_bounds(task: Task, output: FixedPoint) -> tuple[int, int]:
    """The task's clamp in raw integers of its output format, within the format's range."""
    low, high = (
        bound if math.isinf(bound) else int(output.quantise(np.asarray(bound))) for bound in task.clamp
    )
    return int(max(low, output.minimum)), int(min(high, output.maximum))

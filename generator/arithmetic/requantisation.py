"""Requantisation: how a task's exact accumulator becomes its output.

Golden, QDQ model, range analysis and hardware all read it from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fixed_point import FixedPoint, Integers, Rounding
from ..per_graph import kept_per_graph
from ..task_graph import Task, TaskGraph
from .accumulator_bound import WIDEST, accumulator_bound
from .exact import is_exact
from .rounding import divide

MULTIPLIER_BITS = 31
_MOST_SHIFT = 60


@dataclass(frozen=True)
class Requantisation:
    """output = clamp(round(accumulator * multiplier / (divisor * 2**shift)) + zero, low, high).

    Attributes:
        shifts: right shifts, one for all channels or one for each output channel. Negative ones are left shifts;
            they occur only where a divisor leaves more than whole numbers.
        divisor: odd; powers of two are in the shifts. 1 where a multiplier is not.
        low: the task's clamp in raw output integers, within the range of the format.
        high: likewise.
        multipliers: as many as shifts; 1 where scales are powers of two, else of up to 31 bits.
        zero: zero point of the output.
        rounding: of the output.
    """

    shifts: tuple[int, ...]
    divisor: int
    low: int
    high: int
    multipliers: tuple[int, ...] = (1,)
    zero: int = 0
    rounding: Rounding = Rounding.HALF_EVEN

    @cached_property
    def per_channel(self) -> bool:
        """True if channels differ in their shifts or multipliers."""
        return len(self.shifts) > 1

    @cached_property
    def scaled(self) -> bool:
        """True if there is more to do than to shift or to divide."""
        return any(multiplier != 1 for multiplier in self.multipliers)

    @cached_property
    def left(self) -> int:
        """Largest left shift of an accumulator before the division."""
        return max(0, -min(self.shifts))

    @cached_property
    def right(self) -> int:
        """Largest right shift."""
        return max(0, *self.shifts)

    def further_shifts(self, channels: int) -> Integers:
        """How far each output channel is shifted beyond the smallest shift."""
        return np.broadcast_to(self._shifts - self._shifts.min(), (channels,))

    def channel_multipliers(self, channels: int) -> Integers:
        """The multiplier of each output channel."""
        return np.broadcast_to(self._multipliers, (channels,))

    def apply(
        self, accumulators: Integers | NDArray[np.floating], channel_axis: int
    ) -> Integers | NDArray[np.floating]:
        """Raw outputs of exact accumulators of shape (samples, *tensor shape), integers or whole floats.

        Whole floats stay floats where that is exact: scaled by powers of two, half to even, into a format that the type holds.
        """
        if self._exact_in(accumulators.dtype):
            powers = np.exp2(-self._shifts).astype(accumulators.dtype)
            floats: NDArray[np.floating] = accumulators * _along(powers, accumulators.ndim, channel_axis)
            np.rint(floats, out=floats)
            if self.zero:
                floats += self.zero
            np.clip(floats, self.low, self.high, out=floats)
            return floats
        shifts, multipliers = (
            _along(values, accumulators.ndim, channel_axis) for values in (self._shifts, self._multipliers)
        )
        integers = accumulators.astype(np.int64, copy=False)
        scaled = integers * multipliers if self.scaled else integers
        rounded = divide(scaled, self.divisor, shifts, self.rounding)
        return np.clip(rounded + self.zero, self.low, self.high)

    @cached_property
    def _shifts(self) -> Integers:
        return np.array(self.shifts, dtype=np.int64)

    @cached_property
    def _multipliers(self) -> Integers:
        return np.array(self.multipliers, dtype=np.int64)

    def _exact_in(self, kind: np.dtype[Any]) -> bool:
        """True for floats in which requantisation of whole numbers that they hold is exact.

        Only a sum with the zero point may then be too large for the type, and so rounded; it is beyond the clamp as well.
        """
        plain = self.divisor == 1 and not self.scaled and self.rounding is Rounding.HALF_EVEN
        return kind.kind == "f" and plain and is_exact(kind, max(-self.low, self.high))


def _along(values: NDArray[Any], dimensions: int, channel_axis: int) -> NDArray[Any]:
    """One value, or one for each channel, to go with samples of so many dimensions."""
    shape = [1] * dimensions
    shape[channel_axis + 1] = -1
    return values.reshape(shape)


@kept_per_graph
def requantisation(graph: TaskGraph, task: Task) -> Requantisation:
    """The requantisation of a task of a quantised graph: it follows from the formats of operands and output."""
    output = graph.output_tensor(task).number
    low, high = clamp_bounds(task, output)
    if not task.operator.accumulates:  # what it evaluates is in the output's format already
        return Requantisation((0,), 1, low, high, zero=output.zero, rounding=output.rounding)
    ratios = _output_steps(task, [tensor.number.scale for tensor in graph.input_tensors(task)], output.scale)
    divisor = task.operator.divisor
    halves, exponents = np.frexp(ratios)
    if np.all(halves == 0.5) and (divisor > 1 or exponents.max() <= 1):
        twos = (divisor & -divisor).bit_length() - 1
        shifts = tuple(int(twos + 1 - exponent) for exponent in exponents)
        return Requantisation(
            shifts, divisor >> twos, low, high, (1,) * len(shifts), output.zero, output.rounding
        )
    bits = min(MULTIPLIER_BITS, WIDEST - 1 - accumulator_bound(graph, task).bit_length())
    multipliers, shifts = zip(*(fixed_multiplier(ratio / divisor, bits) for ratio in ratios), strict=True)
    return Requantisation(shifts, 1, low, high, multipliers, output.zero, output.rounding)


def fixed_multiplier(ratio: float, bits: int) -> tuple[int, int]:
    """(multiplier, shift) with ratio = multiplier / 2**shift, as exactly as `bits` bits allow; the smallest such.

    A ratio of 2**bits or more has a negative shift, which range analysis refuses. One far below 2**-60 is 0: whatever the
    accumulator holds is then less than half a step.
    """
    half, exponent = math.frexp(ratio)
    shift = bits - exponent
    bits -= max(0, shift - _MOST_SHIFT)
    shift = min(shift, _MOST_SHIFT)
    multiplier = round(math.ldexp(half, bits))
    if bits > 0 and multiplier >> bits > 0:
        multiplier >>= 1
        shift -= 1
    twos = min((multiplier & -multiplier).bit_length() - 1, shift) if multiplier else shift
    return (multiplier >> twos, shift - twos) if twos > 0 else (multiplier, shift)


def mantissas_cancel(graph: TaskGraph, task: Task) -> bool:
    """True if the task gives the same integers with all scales divided by their mantissa, which they share."""
    mantissas = {tensor.number.mantissa for tensor in (*graph.input_tensors(task), graph.output_tensor(task))}
    return task.operator.homogeneous and len(mantissas) == 1


def accumulator_units(task: Task, operands: Sequence[float]) -> tuple[float, ...]:
    """Values of the accumulator's unit, one for all or one for each output channel.

    Args:
        task: task with quantised parameters.
        operands: scales of its inputs.
    """
    return _times_weights(task, task.operator.unit(operands))


def _output_steps(task: Task, operands: Sequence[float], output: float) -> tuple[float, ...]:
    """The accumulator's unit in steps of the output, one for all or one for each output channel."""
    return _times_weights(task, task.operator.output_steps(operands, output))


def _times_weights(task: Task, unit: float) -> tuple[float, ...]:
    weights = [np.array(task.parameters[role].number.scales) for role in task.operator.weight_roles]
    total = np.prod(np.broadcast_arrays(np.array([unit]), *weights), axis=0)
    return tuple(float(one) for one in total)


def clamp_bounds(task: Task, output: FixedPoint) -> tuple[int, int]:
    """The task's clamp in raw integers of its output format, within the format's range."""
    low, high = (
        bound if math.isinf(bound) else int(output.quantise(np.asarray(bound))) for bound in task.clamp
    )
    return int(max(low, output.minimum)), int(min(high, output.maximum))

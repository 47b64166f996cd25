"""Weights that come with steps of their own: how many bits their integers have."""

from __future__ import annotations

import math

import numpy as np

from ..errors import IntarsiaError
from ..fixed_point import Floats
from ..task_graph import Task

MOST_BITS = 16
_CLOSE = 1e-3
"""How far float32 may put a 16-bit integer times its step from a multiple of the step, in steps, with room to spare."""
_FINE_BIAS = 2.0**-12
"""Error that a bias may add to an output, in its step, where it is no multiple of the accumulator's unit."""


def kept_weights(task: Task, role: str, unit: float, output_step: float) -> tuple[int, Floats]:
    """Bits and steps of the integers of a task's weights.

    A bias that is no multiple of the accumulator's unit (BatchNormalization after few-bit weights, say) would be
    rounded too early. Weights then get smaller steps, their integers zeros behind, until the bias is fine enough.

    Args:
        task: float task whose weights have steps.
        role: of its weights.
        unit: the accumulator's unit without the weights' step.
        output_step: scale of its output.

    Raises:
        IntarsiaError: the weights are no multiples of their steps, or too large.
    """
    parameter = task.parameters[role]
    assert parameter.steps is not None
    steps = parameter.steps
    ratio = parameter.values / steps.reshape(-1, *[1] * (parameter.values.ndim - 1))
    raw = np.rint(ratio)
    if np.abs(ratio - raw).max(initial=0) > _CLOSE:
        raise IntarsiaError(
            f"task {task.name!r} ({task.operator.name}): its weights are no multiples of the scale that the model gives "
            "them. Check that nothing but a factor per output channel follows their DequantizeLinear"
        )
    low, high = int(raw.min(initial=0)), int(raw.max(initial=0))
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
    if bits > MOST_BITS:
        raise IntarsiaError(
            f"task {task.name!r} ({task.operator.name}): its weights, less their zero point, have {bits} bits. "
            f"Supported: up to {MOST_BITS}"
        )
    finer = min(_finer(task, unit * steps, output_step), MOST_BITS - bits)
    return bits + finer, steps / 2**finer


def _finer(task: Task, units: Floats, output_step: float) -> int:
    """Binary places that the accumulator lacks for the bias."""
    if "bias" not in task.parameters:
        return 0
    exact = task.values["bias"] / units
    tolerance = _CLOSE + np.abs(exact) * 2.0**-22  # float32 rounds the product and the scale
    error = np.abs(exact - np.rint(exact))
    if np.all(error <= tolerance):
        return 0
    return max(0, math.ceil(math.log2(float(units.max()) / output_step / 2 / _FINE_BIAS)))

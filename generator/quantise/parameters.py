"""From real to raw parameters: weights by least squared error, or as the model has them; a bias in the accumulator's unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..fixed_point import ChannelFormat, FixedPoint, Floats, Integers
from ..operator import Array
from ..task_graph import Parameter, Task
from .exponents import channel_exponents, choose_weight_format, full_range_exponent
from .kept_weights import kept_weights

_BIAS_BITS = 32


def quantise_parameters(
    task: Task,
    operands: Sequence[FixedPoint],
    output: FixedPoint,
    weight_bits: int,
    per_channel: bool,
    block: int = 1,
) -> Mapping[str, Parameter]:
    """Raw weights, and a raw bias in the accumulator's unit.

    Args:
        task: float task.
        operands: formats of its inputs.
        output: wished format of its output.
        weight_bits: width of weights.
        per_channel: whether each output channel has a weight exponent of its own.
        block: so many neighbouring channels share an exponent: those of a circulant block, whose integers then are
            circulant as well.
    """
    if unknown := task.parameters.keys() - {*task.operator.weight_roles, "bias"}:
        raise ValueError(f"task {task.name!r}: no rule to quantise parameter {min(unknown)!r}")
    if not task.parameters:
        return {}
    (role,) = task.operator.weight_roles
    weight = task.parameters[role].values
    unit = task.operator.unit([number.scale for number in operands])
    if task.parameters[role].steps is not None:
        return _raw(task, role, *kept_weights(task, role, unit, output.scale), unit)
    if per_channel:
        exponents = channel_exponents(weight, weight_bits)
    else:
        exponents = np.full(len(weight), choose_weight_format(weight, weight_bits).exponent)
    if "bias" in task.parameters:
        full_sum_bits = weight_bits + operands[0].bits - 1 + (weight[0].size - 1).bit_length()
        exponents = _fit_bias(task.parameters["bias"].values / unit, exponents, full_sum_bits)
        if not per_channel:
            exponents = np.full_like(exponents, exponents.max())
    return _raw(task, role, weight_bits, np.exp2(_coarsest_of_block(exponents, block)), unit)


def _raw(task: Task, role: str, weight_bits: int, steps: Floats, unit: float) -> Mapping[str, Parameter]:
    """Raw parameters for weights of these steps and this many bits, and inputs of this unit."""
    formats = {
        role: ChannelFormat.of_scales(weight_bits, steps),
        "bias": ChannelFormat.of_scales(_BIAS_BITS, steps * unit),
    }
    return {
        name: Parameter(formats[name].quantise(parameter.values), formats[name])
        for name, parameter in task.parameters.items()
    }


def _fit_bias(bias: Array, exponents: Integers, full_sum_bits: int) -> Integers:
    """Weight exponents with which the bias of every channel, in units of the inputs, fits.

    A bias of more than 2**31 accumulator units means that the output, which has at most 16 bits, has a step of 2**15
    units or more. Weights coarser by the bit or two that are missing cost a fraction of that step, whereas a saturated
    bias would be wrong by any amount.

    For the same reason a channel whose step is finer than others' gets a coarser one while its bias is larger than
    any sum that weights of full range make: it would only make the accumulators of all channels wider.
    """
    result = exponents.copy()
    for channel, size in enumerate(np.abs(bias)):
        if size:
            wished = full_range_exponent(size, min(full_sum_bits, _BIAS_BITS))
            needed = full_range_exponent(size, _BIAS_BITS)
            result[channel] = max(exponents[channel], min(wished, exponents.max()), needed)
    return result


def _coarsest_of_block(exponents: Integers, block: int) -> Integers:
    """Each exponent replaced by the largest of its block of neighbours."""
    coarsest = np.maximum.reduceat(exponents, np.arange(0, len(exponents), block))
    return np.repeat(coarsest, block)[: len(exponents)]

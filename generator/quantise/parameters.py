"""From real to raw parameters: weights by least squared error, a bias in the unit of its accumulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..fixed_point import ChannelFormat, FixedPoint, Integers, ParameterFormat
from ..operator import Array
from ..task_graph import Parameter, Task
from .exponents import channel_exponents, choose_weight_format, full_range_exponent

_BIAS_BITS = 32


def quantise_parameters(
    task: Task, operands: Sequence[FixedPoint], weight_bits: int, per_channel: bool, block: int = 1
) -> Mapping[str, Parameter]:
    """Raw weights, and a raw bias in the accumulator's unit.

    Args:
        task: float task.
        operands: formats of its inputs.
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
    if per_channel:
        exponents = channel_exponents(weight, weight_bits)
    else:
        exponents = np.full(len(weight), choose_weight_format(weight, weight_bits).exponent)
    unit = task.operator.exponent([number.exponent for number in operands])
    if "bias" in task.parameters:
        full_sum_bits = weight_bits + operands[0].bits - 1 + (weight[0].size - 1).bit_length()
        exponents = _fit_bias(task.parameters["bias"].values, unit, exponents, full_sum_bits)
        if not per_channel:
            exponents = np.full_like(exponents, exponents.max())
    exponents = _coarsest_of_block(exponents, block)
    formats = {role: _format(weight_bits, exponents), "bias": _format(_BIAS_BITS, exponents + unit)}
    return {
        role: Parameter(formats[role].quantise(parameter.values), formats[role])
        for role, parameter in task.parameters.items()
    }


def _fit_bias(bias: Array, unit: int, exponents: Integers, full_sum_bits: int) -> Integers:
    """Weight exponents with which the bias of every channel fits.

    A bias of more than 2**31 accumulator units means that the output, which has at most 16 bits, has a step of 2**15
    units or more. Weights coarser by the bit or two that are missing cost a fraction of that step, whereas a saturated
    bias would be wrong by any amount.

    For the same reason a channel whose step is finer than others' gets a coarser one while its bias is larger than
    any sum that weights of full range make: it would only make the accumulators of all channels wider.
    """
    result = exponents.copy()
    for channel, size in enumerate(np.abs(bias)):
        if size:
            wished = full_range_exponent(size, min(full_sum_bits, _BIAS_BITS)) - unit
            needed = full_range_exponent(size, _BIAS_BITS) - unit
            result[channel] = max(exponents[channel], min(wished, exponents.max()), needed)
    return result


def _coarsest_of_block(exponents: Integers, block: int) -> Integers:
    """Each exponent replaced by the largest of its block of neighbours."""
    coarsest = np.maximum.reduceat(exponents, np.arange(0, len(exponents), block))
    return np.repeat(coarsest, block)[: len(exponents)]


def _format(bits: int, exponents: Integers) -> ParameterFormat:
    """One format for all channels where they agree."""
    distinct = {int(exponent) for exponent in exponents}
    if len(distinct) == 1:
        return FixedPoint(bits, distinct.pop())
    return ChannelFormat(bits, tuple(int(exponent) for exponent in exponents))

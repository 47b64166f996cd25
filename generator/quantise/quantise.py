"""Float task graph to integer task graph: a format for every tensor, raw integers for every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import IntarsiaError
from ..fixed_point import FixedPoint
from ..task_graph import Parameter, Task, TaskGraph
from .accumulators import accumulator_ranges
from .calibrate import Statistics
from .exponents import choose_activation_format, choose_weight_format

_BIAS_BITS = 32
_NARROWEST, _WIDEST = 2, 16


@dataclass(frozen=True)
class QuantiseOptions:
    """Widths of the integers.

    Raises:
        IntarsiaError: a width is not 2 to 16.
    """

    weight_bits: int = 8
    activation_bits: int = 8

    def __post_init__(self) -> None:
        for what, bits in (("weight", self.weight_bits), ("activation", self.activation_bits)):
            if not _NARROWEST <= bits <= _WIDEST:
                raise IntarsiaError(f"--{what}-bits must be {_NARROWEST} to {_WIDEST}, not {bits}")


DEFAULT_OPTIONS = QuantiseOptions()


def quantise(
    graph: TaskGraph, statistics: Statistics, options: QuantiseOptions = DEFAULT_OPTIONS
) -> TaskGraph:
    """The quantised graph: the same tasks, every tensor and parameter with a signed power-of-two format.

    Args:
        graph: float task graph.
        statistics: of every tensor (calibrate.py).
        options: widths.

    Raises:
        RangeError: an accumulator is too wide.
    """
    activations = {
        name: choose_activation_format(statistics[name], options.activation_bits) for name in graph.tensors
    }
    formats: dict[str, FixedPoint] = {name: activations[name] for name in graph.inputs}
    tasks = []
    for task in graph.tasks:
        operands = [formats[name] for name in task.inputs]
        exponents = [number.exponent for number in operands]
        parameters = _parameters(task, task.operator.exponent(exponents, ()), options)
        weights = [parameters[role].number.exponent for role in task.operator.weight_roles]
        unit = task.operator.exponent(exponents, weights)
        tasks.append(replace(task, operator=task.operator.aligned(operands), parameters=parameters))
        if task.operator.keeps_format():
            formats[task.output] = formats[task.inputs[0]]
        else:  # a finer step than the accumulator's would only append zeros
            wanted = activations[task.output]
            formats[task.output] = replace(wanted, exponent=max(wanted.exponent, unit))
    tensors = {name: replace(tensor, format=formats[name]) for name, tensor in graph.tensors.items()}
    result = replace(graph, tensors=tensors, tasks=tuple(tasks))
    accumulator_ranges(result)
    return result


def _parameters(task: Task, unit: int, options: QuantiseOptions) -> Mapping[str, Parameter]:
    """Raw weights, and a raw bias in the accumulator's unit; `unit` is the exponent of the inputs' product."""
    formats = {
        role: choose_weight_format(task.parameters[role].values, options.weight_bits)
        for role in task.operator.weight_roles
    }
    if "bias" in task.parameters:
        formats = _fit_bias(task, unit, formats)
        unit += sum(number.exponent for number in formats.values())
        formats["bias"] = FixedPoint(_BIAS_BITS, unit)
    if unknown := task.parameters.keys() - formats.keys():
        raise ValueError(f"task {task.name!r}: no rule to quantise parameter {min(unknown)!r}")
    return {
        role: Parameter(formats[role].quantise(parameter.values), formats[role])
        for role, parameter in task.parameters.items()
    }


def _fit_bias(task: Task, unit: int, formats: dict[str, FixedPoint]) -> dict[str, FixedPoint]:
    """Weight formats coarse enough for the bias to fit its 32 bits.

    A bias of more than 2**31 accumulator units means that the output, which has at most 16 bits, has a step
    of 2**15 units or more. Weights coarser by the bit or two that are missing cost a fraction of that step,
    whereas a saturated bias would be wrong by any amount.
    """
    bias = float(np.abs(task.parameters["bias"].values).max(initial=0.0))
    narrow = FixedPoint(_BIAS_BITS, unit + sum(number.exponent for number in formats.values()))
    if bias <= narrow.maximum * narrow.scale:
        return formats
    if not formats:
        raise IntarsiaError(
            f"task {task.name!r} ({task.operator.name}): its bias of up to {bias:.3g} does not fit {_BIAS_BITS} bits "
            f"in steps of {narrow.scale:.3g}. Check that the calibration samples are of an ordinary size"
        )
    missing = 0
    while bias > narrow.maximum * 2.0**missing * narrow.scale:
        missing += 1
    role = task.operator.weight_roles[0]
    return {**formats, role: replace(formats[role], exponent=formats[role].exponent + missing)}

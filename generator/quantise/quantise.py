"""Float task graph to integer task graph: a format for every tensor, raw integers for every parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..arithmetic.requantisation import accumulator_units
from ..circulant.blocks import task_block
from ..errors import IntarsiaError
from ..fixed_point import FixedPoint
from ..ops.constant import ConstantTensor
from ..ops.matmul import MatMul
from ..task_graph import Task, TaskGraph, Tensor
from .accumulators import accumulator_ranges
from .calibrate import Statistics
from .exponents import choose_activation_format, choose_constant_format
from .histogram import Histogram
from .parameters import quantise_parameters
from .precision import NARROWEST, WIDEST, Precision
from .whole import bits_of_whole, whole_format


@dataclass(frozen=True)
class QuantiseOptions:
    """Widths of the integers, and whether each output channel has a weight exponent of its own.

    `precision` has the widths of single layers and tensors that differ.

    Raises:
        IntarsiaError: a width is not 2 to 16.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    per_channel: bool = True
    precision: Precision = field(default_factory=Precision)

    def __post_init__(self) -> None:
        for what, bits in (("weight", self.weight_bits), ("activation", self.activation_bits)):
            if not NARROWEST <= bits <= WIDEST:
                raise IntarsiaError(f"--{what}-bits must be {NARROWEST} to {WIDEST}, not {bits}")


DEFAULT_OPTIONS = QuantiseOptions()


def quantise(
    graph: TaskGraph, statistics: Statistics, options: QuantiseOptions = DEFAULT_OPTIONS
) -> TaskGraph:
    """The quantised graph: the same tasks, every tensor and parameter with a format.

    Where the model gives a tensor or weights a format, it stays; all others get a signed power-of-two format.

    Args:
        graph: float task graph.
        statistics: of every tensor (calibrate.py).
        options: widths and granularity.

    Raises:
        RangeError: an accumulator is too wide.
        IntarsiaError: the model's own formats contradict each other.
    """
    precision = options.precision
    precision.check(graph)
    activations = _activation_formats(graph, statistics, options)
    formats: dict[str, FixedPoint] = {name: activations[name] for name in graph.inputs}
    tasks = []
    for task in graph.tasks:
        operands, wanted = [formats[name] for name in task.inputs], activations[task.output]
        if not task.operator.accumulates:
            formats[task.output] = wanted
            found = task.operator.quantised_parameters(task, operands, wanted)
            tasks.append(replace(task, parameters=found))
            continue
        _require_no_zero_points(task, operands)
        parameters = quantise_parameters(
            task,
            operands,
            wanted,
            _weight_bits(graph, task, precision.weight_bits(task, options.weight_bits)),
            options.per_channel,
            task_block(graph, task),
        )
        aligned = task.operator.aligned(operands, wanted)
        quantised = replace(task, operator=aligned, parameters=parameters)
        tasks.append(quantised)
        formats[task.output] = _output_format(graph, quantised, operands, wanted)
    tensors = {name: replace(tensor, format=formats[name]) for name, tensor in graph.tensors.items()}
    result = replace(graph, tensors=tensors, tasks=tuple(tasks))
    accumulator_ranges(result)
    return result


def _activation_formats(
    graph: TaskGraph, statistics: Statistics, options: QuantiseOptions
) -> dict[str, FixedPoint]:
    """A format for every tensor by its own values: the model's, or one chosen for what it can be."""
    precision = options.precision
    formats = {}
    for name, tensor in graph.tensors.items():
        producer = graph.producers.get(name)
        bits = precision.tensor_bits(name, producer, options.activation_bits)
        formats[name] = tensor.format or _chosen_format(
            tensor, producer, _widest(graph, statistics, name), bits, told=name in precision.tensors
        )
    return formats


def _output_format(
    graph: TaskGraph, task: Task, operands: list[FixedPoint], wanted: FixedPoint
) -> FixedPoint:
    """The wanted format of a quantised task's result, but no finer than its accumulator, and the input's where that must stay.

    Raises:
        IntarsiaError: the model gives a maximum another format than its input.
    """
    known = graph.output_tensor(task)
    if task.operator.keeps_format():
        if known.format not in (None, operands[0]):
            raise IntarsiaError(
                f"task {task.name!r} ({task.operator.name}): the model quantises its output by {wanted}, its input by "
                f"{operands[0]}. Supported: the same scale and zero point, as a maximum changes no value"
            )
        return operands[0]
    if known.format is not None or (known.kind and wanted.exponent == 0):
        return wanted
    finest = finest_exponent(task, [number.scale for number in operands])
    return replace(wanted, exponent=max(wanted.exponent, finest))


def _widest(graph: TaskGraph, statistics: Statistics, name: str) -> Histogram:
    """Statistics of a tensor, or of one of larger values that takes its format: a padded one, say."""
    same = [task.output for task in graph.consumers[name] if task.operator.keeps_format()]
    found = [statistics[name], *(_widest(graph, statistics, output) for output in same)]
    return max(found, key=lambda one: one.magnitude)


def _chosen_format(
    tensor: Tensor, task: Task | None, found: Histogram, bits: int, *, told: bool
) -> FixedPoint:
    """The format of what a task makes, by its type, its constant values or statistics."""
    if tensor.kind and (whole := whole_format(tensor, found, bits, told=told)) is not None:
        return whole
    if task is not None and isinstance(task.operator, ConstantTensor):
        parameter = task.parameters["values"]
        step = None if parameter.steps is None else float(parameter.steps[0])
        return choose_constant_format(parameter.values, bits, step)
    return choose_activation_format(found, bits)


def _weight_bits(graph: TaskGraph, task: Task, bits: int) -> int:
    """As told, or as many as are needed where whole numbers are made of whole numbers."""
    if not graph.output_tensor(task).kind:
        return bits
    return max(
        bits, *(min(bits_of_whole(task.values[role]), WIDEST) for role in task.operator.weight_roles), 0
    )


def _require_no_zero_points(task: Task, operands: Sequence[FixedPoint]) -> None:
    """The zero point of an input goes into the bias, which sums of weights do not know where those are computed."""
    if isinstance(task.operator, MatMul) and any(number.zero for number in operands):
        raise IntarsiaError(
            f"task {task.name!r} ({task.operator.name}) multiplies two computed matrices with zero points "
            f"{[number.zero for number in operands]}. Supported: zero points 0. Quantise the activations symmetrically"
        )


def finest_exponent(task: Task, operands: Sequence[float]) -> int:
    """Finest step of an output that shows more than zeros appended to the accumulator, or to its quotient.

    A quotient's step is that of the accumulator divided by the divisor, rounded down to a power of two. An accumulator
    is never shifted to the left; where channels have their own units, the coarsest one decides.
    """
    coarsest = max(accumulator_units(task, operands))
    return math.frexp(coarsest)[1] - 1 - (task.operator.divisor - 1).bit_length()

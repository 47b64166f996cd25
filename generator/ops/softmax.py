"""Softmax and LogSoftmax over the channels of every pixel, in integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..arithmetic.integer_softmax import SoftmaxNumbers, exponential_tables, softmax_numbers, softmax_of_rows
from ..arithmetic.requantisation import clamp_bounds
from ..errors import IntarsiaError
from ..fixed_point import Integers
from ..operator import Array, Operator
from ..task_graph import Parameter
from ..work import SoftmaxWork
from .rows import from_rows, infer_rows, to_rows

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor

_OF_ONE_AXIS = 13
"""Opset since which Softmax works along one axis; before, over all axes from `axis` on."""


@dataclass(frozen=True)
class Softmax(Operator):
    """exp(scale * x) / sum(exp(scale * x)) along `axis`, the channels.

    With a causal `period` T, of row r (pixels counted in order) only the elements 0 .. r % T + `first` - 1 count, and the
    others give 0: the mask of attention over T positions, without a tensor for it. With T = 1 it is the same for all rows.
    """

    axis: int
    channels: int
    period: int = 0
    first: int = 1
    scale: float = 1.0

    name: ClassVar[str] = "Softmax"
    onnx_types: ClassVar[tuple[str, ...]] = ("Softmax",)
    accumulates: ClassVar[bool] = False
    lowering_tolerance: ClassVar[int] = 1
    real_error: ClassVar[float] = 0.6
    log: ClassVar[bool] = False

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """A node along any one axis."""
        x = node.tensor()
        axis = node.attributes.get("axis", -1 if node.opset >= _OF_ONE_AXIS else 1) % len(x.shape)
        if node.opset < _OF_ONE_AXIS and prod(x.shape[axis:]) == x.shape[-1]:
            axis = len(x.shape) - 1
        node.require(
            node.opset >= _OF_ONE_AXIS or prod(x.shape[axis + 1 :]) == 1,
            f"before opset {_OF_ONE_AXIS} it works over all axes from {axis} on, of {x.name!r} of shape {x.shape}. "
            f"Supported: one axis. Export the model with opset {_OF_ONE_AXIS} or later",
        )
        return node.task(cls(axis, x.shape[axis]))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the input, with the channels on `axis`."""
        return infer_rows(inputs[0], self.axis, self.channels)

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Along a row."""
        return (self.axis,)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The real function, for the float model."""
        rows = to_rows(np.asarray(inputs[0], np.float64), self.axis) * self.scale
        counts = np.arange(self.channels) < self.limits(inputs[0])[:, np.newaxis]
        centred = np.where(
            counts, rows - rows.max(axis=1, keepdims=True, where=counts, initial=-np.inf), -np.inf
        )
        sums = np.exp(centred).sum(axis=1, keepdims=True)
        result = centred - np.log(sums) if self.log else np.exp(centred) / sums
        return from_rows(result, inputs[0], self.axis)

    def evaluate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The integer algorithm (arithmetic/integer_softmax.py)."""
        x = np.asarray(inputs[0], np.int64)
        result = softmax_of_rows(
            to_rows(x, self.axis),
            self.limits(x),
            parameters["fine"],
            parameters["coarse"],
            SoftmaxNumbers.of_array(parameters["numbers"]),
            self.log,
        )
        return from_rows(result, x, self.axis)

    def quantised_parameters(
        self, task: Task, inputs: Sequence[FixedPoint], output: FixedPoint
    ) -> Mapping[str, Parameter]:
        """Tables of the exponential function, and the numbers of the algorithm.

        Raises:
            IntarsiaError: the rows are too long for integers of 62 bits.
        """
        try:
            numbers = softmax_numbers(inputs[0], output, self.channels, clamp_bounds(task, output), self.log)
        except ValueError as error:
            raise IntarsiaError(
                f"task {task.name!r} ({self.name}): {error}. Use fewer --activation-bits"
            ) from error
        fine, coarse = exponential_tables(inputs[0], numbers.fraction, self.scale)
        return {
            "fine": Parameter(fine),
            "coarse": Parameter(coarse),
            "numbers": Parameter(numbers.as_array()),
        }

    def work(self, task: Task, graph: TaskGraph) -> SoftmaxWork:
        """A softmax unit."""
        output = graph.output_tensor(task)
        return SoftmaxWork(output.pixels, output.channels)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """The ONNX operator; behind a Where with a constant mask if it is causal."""
        x = builder.activation(task.inputs[0])
        if self.scale != 1.0:
            x = builder.node("Mul", [x, builder.number(self.scale, "scale")])
        if self.period:
            sample = np.zeros((1, *graph.output_tensor(task).shape))
            counts = np.arange(self.channels) < self.limits(sample)[:, np.newaxis]
            mask = builder.constant(from_rows(counts, sample, self.axis)[0], f"{task.name}/mask")
            x = builder.node("Where", [mask, x, builder.number(-np.inf, "masked")])
        return builder.node(self.name, [x], axis=self.axis)

    def limits(self, x: Array) -> Integers:
        """How many elements of each row count, for samples of shape (samples, *tensor shape)."""
        pixels = np.arange(prod(x.shape[1:]) // self.channels)
        limits = np.full(len(pixels), self.channels)
        if self.period:
            limits = np.minimum(pixels % self.period + self.first, self.channels)
        return np.tile(limits, len(x))

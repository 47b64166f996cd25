"""LayerNormalization and RMSNormalization over the channels of every pixel, in integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from onnx import TensorProto

from ..arithmetic.integer_norm import (
    BETA_BITS,
    GAMMA_BITS,
    NormNumbers,
    norm_numbers,
    norm_of_rows,
    z_fraction,
)
from ..arithmetic.requantisation import clamp_bounds
from ..errors import IntarsiaError
from ..operator import Array, Operator
from ..quantise.exponents import choose_weight_format
from ..task_graph import Parameter
from ..work import NormWork
from .rows import from_rows, infer_rows, to_rows

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint, Floats
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor

_EPSILON = 1e-5
"""ONNX's default."""


@dataclass(frozen=True)
class LayerNormalization(Operator):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta along `axis`, the channels.

    Parameters `gamma` and `beta` have one value for each channel.
    """

    axis: int
    epsilon: float = _EPSILON

    name: ClassVar[str] = "LayerNormalization"
    onnx_types: ClassVar[tuple[str, ...]] = ("LayerNormalization",)
    accumulates: ClassVar[bool] = False
    lowering_tolerance: ClassVar[int] = 1
    real_error: ClassVar[float] = 0.6
    centre: ClassVar[bool] = True

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """A node along the last axis."""
        x = node.tensor()
        first = node.attributes.get("axis", -1) % len(x.shape)
        axis = len(x.shape) - 1
        node.require(
            prod(x.shape[first:]) == x.shape[axis],
            f"it normalises over all axes from {first} on, of {x.name!r} of shape {x.shape}. Supported: the last axis",
        )
        asked = [name for name in node.outputs[1:] if name]
        node.require(not asked, f"its further result {asked[:1]} is read. Supported: the first result only")
        channels = x.shape[axis]
        epsilon = float(node.attributes.get("epsilon", _EPSILON))
        node.require(epsilon >= 0, f"epsilon is {epsilon:g}. Supported: zero or more")
        gamma, beta = node.numbers(1), node.numbers(2)
        return node.task(
            cls(axis, epsilon),
            {
                "gamma": _per_channel(node, gamma, channels, 1.0),
                "beta": _per_channel(node, beta, channels, 0.0),
            },
        )

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the input, with the channels on `axis`."""
        return infer_rows(inputs[0], self.axis, len(parameters["gamma"]))

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Along a row."""
        return (self.axis,)

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The real function, for the float model."""
        rows = to_rows(np.asarray(inputs[0], np.float64), self.axis)
        if self.centre:
            rows = rows - rows.mean(axis=1, keepdims=True)
        square = np.square(rows).mean(axis=1, keepdims=True) + self.epsilon
        z = np.divide(rows, np.sqrt(square), where=square > 0, out=np.zeros_like(rows))
        return from_rows(z * parameters["gamma"] + parameters["beta"], inputs[0], self.axis)

    def evaluate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The integer algorithm (arithmetic/integer_norm.py)."""
        x = np.asarray(inputs[0], np.int64)
        numbers = NormNumbers.of_array(parameters["numbers"])
        result = norm_of_rows(to_rows(x, self.axis), parameters["gamma"], parameters["beta"], numbers)
        return from_rows(result, x, self.axis)

    def quantised_parameters(
        self, task: Task, inputs: Sequence[FixedPoint], output: FixedPoint
    ) -> Mapping[str, Parameter]:
        """Raw gamma and beta, and the numbers of the algorithm.

        Raises:
            IntarsiaError: the rows are too long for integers of 62 bits.
        """
        unit = output.mantissa  # gamma and beta are in multiples of it, so that a shift leads to the output
        gamma_format = choose_weight_format(task.values["gamma"] / unit, GAMMA_BITS)
        beta_format = choose_weight_format(task.values["beta"] / unit, BETA_BITS)
        gamma_format, beta_format = replace(gamma_format, mantissa=unit), replace(beta_format, mantissa=unit)
        gamma = gamma_format.quantise(task.values["gamma"])
        finest = gamma_format.exponent - z_fraction(inputs[0], output, (gamma_format, gamma), self.epsilon)
        beta_format = replace(beta_format, exponent=max(beta_format.exponent, finest))
        beta = beta_format.quantise(task.values["beta"])
        try:
            numbers = norm_numbers(
                inputs[0],
                output,
                (gamma_format, gamma),
                (beta_format, beta),
                self.epsilon,
                self.centre,
                clamp_bounds(task, output),
            )
        except ValueError as error:
            raise IntarsiaError(
                f"task {task.name!r} ({self.name}): {error}. Use fewer --activation-bits"
            ) from error
        return {
            "gamma": Parameter(gamma, gamma_format),
            "beta": Parameter(beta, beta_format),
            "numbers": Parameter(numbers.as_array()),
        }

    def work(self, task: Task, graph: TaskGraph) -> NormWork:
        """A norm unit."""
        output = graph.output_tensor(task)
        return NormWork(output.pixels, output.channels)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """The definition in double precision: float32 cancels where the spread of a row is small against its values."""
        x = builder.node("Cast", [builder.activation(task.inputs[0])], to=TensorProto.DOUBLE)
        axes = builder.constant(np.array([self.axis], np.int64), f"{task.name}/axes")
        epsilon = builder.constant(np.array(self.epsilon, np.float64), f"{task.name}/epsilon")
        if self.centre:
            x = builder.node("Sub", [x, builder.node("ReduceMean", [x, axes])])
        square = builder.node("ReduceMean", [builder.node("Mul", [x, x]), axes])
        root = builder.node("Sqrt", [builder.node("Add", [square, epsilon])])
        if self.epsilon == 0:  # a row without variance: 0 / 0
            least = builder.constant(np.array(np.finfo(np.float64).tiny), f"{task.name}/least")
            root = builder.node("Max", [root, least])
        z = builder.node("Div", [x, root])
        gamma, beta = (
            builder.node("Cast", [name], to=TensorProto.DOUBLE)
            for name in builder.parameters(task, "gamma", "beta")
        )
        result = builder.node("Add", [builder.node("Mul", [z, gamma]), beta])
        return builder.node("Cast", [result], to=TensorProto.FLOAT)


@dataclass(frozen=True)
class RMSNormalization(LayerNormalization):
    """x / sqrt(mean(x**2) + epsilon) * gamma along `axis`, the channels."""

    name: ClassVar[str] = "RMSNormalization"
    onnx_types: ClassVar[tuple[str, ...]] = ("RMSNormalization",)
    centre: ClassVar[bool] = False


def _per_channel(node: OnnxNode, values: Floats | None, channels: int, default: float) -> Floats:
    """One value for each channel."""
    if values is None:
        return np.full(channels, default)
    node.require(
        values.size in (1, channels) and values.size == (values.shape or (1,))[-1],
        f"its scale or bias has shape {values.shape}. Supported: one value, or one for each of the {channels} channels",
    )
    return np.broadcast_to(values.reshape(-1), (channels,)).copy()

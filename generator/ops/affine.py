"""Affine: one factor and one summand per channel (BatchNormalization; Add, Sub, Mul, Div with constants)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..fixed_point import Floats
from ..operator import Array, Operator
from ..task_graph import Tensor
from .combine import Add, Combine, Mul, Sub
from .mask import Mask
from .with_constant import WithConstant

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task


@dataclass(frozen=True)
class Affine(Operator):
    """Y = scale * X + shift, with `scale` and `shift` one number for each element of `axis`."""

    axis: int

    name: ClassVar[str] = "Affine"
    onnx_types: ClassVar[tuple[str, ...]] = ("BatchNormalization", "Add", "Sub", "Mul", "Div")
    transient: ClassVar[str] = "factors and summands must become products or constants"

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """BatchNormalization in inference form, or elementwise arithmetic with a constant."""
        return (
            cls._from_batch_norm(node) if node.op_type == "BatchNormalization" else cls._from_arithmetic(node)
        )

    @classmethod
    def _from_batch_norm(cls, node: OnnxNode) -> Task:
        """(X - mean) / sqrt(variance + epsilon) * gamma + beta, over axis 1."""
        node.require(
            len(node.outputs) == 1,
            "it is in training mode. Supported: inference. Export the model in eval mode",
        )
        gamma, beta, mean, variance = (node.weights(index) for index in (1, 2, 3, 4))
        variance = variance + node.attributes.get("epsilon", 1e-5)
        node.require(
            bool((variance > 0).all()), "a variance plus epsilon is not positive. Supported: positive ones"
        )
        channels = node.tensor().shape[1]
        for values in (gamma, beta, mean, variance):
            node.require(values.shape == (channels,), f"the parameters must have shape ({channels},)")
        scale = gamma / np.sqrt(variance)
        return node.task(cls(1), {"scale": scale, "shift": beta - mean * scale})

    @classmethod
    def _from_arithmetic(cls, node: OnnxNode) -> Task:
        """X + c, X - c, c - X, X * c or X / c."""
        computed = [index for index in (0, 1) if isinstance(node.operand(index), Tensor)]
        if len(computed) != 1:
            node.require(
                node.op_type in _COMBINED, "both operands are computed. Supported: a constant divisor"
            )
            return _COMBINED[node.op_type].from_onnx(node)
        source, other = computed[0], 1 - computed[0]
        values = node.constant(other)
        if node.op_type == "Add" and values is not None:
            masked = Mask.from_sum(node, source, values)
            if masked is not None:
                return masked
        reals = node.weights(other)
        if node.op_type == "Div":
            node.require(source == 0, "it divides by a computed tensor. Supported: a constant divisor")
            node.require(bool(reals.all()), "it divides by zero")
        constant = _per_channel(reals, node.tensor(source))
        if constant is None:
            return WithConstant.from_onnx(node)
        one, zero = np.ones_like(constant), np.zeros_like(constant)
        match node.op_type:
            case "Add":
                scale, shift = one, constant
            case "Sub":
                scale, shift = (one, -constant) if source == 0 else (-one, constant)
            case "Mul":
                scale, shift = constant, zero
            case _:
                scale, shift = 1 / constant, zero
        axis = node.tensor(source).channel_axis
        return node.task(cls(axis), {"scale": scale, "shift": shift}, sources=(source,))

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the input."""
        return inputs[0].shape, inputs[0].channel_axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One multiplication and one addition per element."""
        x = inputs[0]
        along = [1] * x.ndim
        along[self.axis + 1] = -1
        return x * parameters["scale"].reshape(along) + parameters["shift"].reshape(along)


_COMBINED: dict[str, type[Combine]] = {"Add": Add, "Sub": Sub, "Mul": Mul}


def _per_channel(constant: Floats, x: Tensor) -> Floats | None:
    """The constant as one number per channel of x; None if it is more."""
    shape = (1,) * (len(x.shape) - constant.ndim) + constant.shape
    along_channels = [x.channels if axis == x.channel_axis else 1 for axis in range(len(x.shape))]
    fits = len(shape) == len(x.shape) and all(
        size in (1, most) for size, most in zip(shape, along_channels, strict=True)
    )
    if not fits:
        return None
    return np.broadcast_to(constant.reshape(shape), along_channels).reshape(-1)

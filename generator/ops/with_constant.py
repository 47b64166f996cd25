"""WithConstant: a computed tensor and a constant one of as many dimensions, combined by an operator of two operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array, Operator
from ..task_graph import Tensor
from .combine import Add, Max, Min, Mul, Sub
from .matmul import MatMul

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Task

COMBINATIONS: dict[str, Operator] = {
    "Add": Add(),
    "Sub": Sub(),
    "Mul": Mul(),
    "Max": Max(),
    "Min": Min(),
    "MatMul": MatMul(transposed=False),
}
"""Operators of two operands, by ONNX's names."""


@dataclass(frozen=True)
class WithConstant(Operator):
    """Y = X op C, or C op X if `first`, for the parameter `constant` of shape (1, ..), which is the same for all samples."""

    combination: str
    first: bool = False

    name: ClassVar[str] = "WithConstant"
    onnx_types: ClassVar[tuple[str, ...]] = ("Max", "Min")
    transient: ClassVar[str] = "a constant operand must become a task of its own"

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """A node with a computed and a constant operand; its result has the computed one's shape, or is a matrix product."""
        if all(isinstance(operand, Tensor) for operand in node.inputs):
            return COMBINATIONS[node.op_type].from_onnx(node)
        first = not isinstance(node.operand(0), Tensor)
        x = node.tensor(int(first))
        constant = node.weights(int(not first))
        if node.op_type == "Div":
            return node.task(cls("Mul"), {"constant": np.broadcast_to(1 / constant, x.shape)})
        if node.op_type == "MatMul":
            constant = np.broadcast_to(constant, (*x.shape[:-2], *constant.shape[-2:]))
        else:
            constant = np.broadcast_to(constant, x.shape)
        return node.task(cls(node.op_type, first), {"constant": constant}, sources=(int(first),))

    @property
    def combined(self) -> Operator:
        """The operator of two operands."""
        return COMBINATIONS[self.combination]

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the operator of two operands."""
        x = inputs[0]
        constant = Tensor("its constant", parameters["constant"].shape, x.channel_axis)
        return self.combined.infer((constant, x) if self.first else (x, constant), {})

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """For the float model."""
        x, constant = inputs[0], parameters["constant"][np.newaxis]
        return self.combined.accumulate((constant, x) if self.first else (x, constant), {})

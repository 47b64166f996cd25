"""Dense: matrix product with constant weights (Gemm, MatMul), over rows or over a flattened image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..arithmetic.exact import matmul
from ..errors import IntarsiaError
from ..operator import Array, Operator
from ..task_graph import Tensor
from ..work import MacWork
from .matmul import MatMul
from .with_constant import WithConstant

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph


@dataclass(frozen=True)
class Dense(Operator):
    """Y[.., o] = bias[o] + sum over k of W[o, k] * X[.., k], where k runs over axes >= `axis`, flattened.

    Parameter `weight` is (outputs, k), `bias` (outputs,). `axis` = 1 contracts a whole sample (ONNX Flatten and
    Gemm); `axis` = rank - 1 contracts the last axis of a matrix.
    """

    axis: int = 1

    name: ClassVar[str] = "Dense"
    weight_roles: ClassVar[tuple[str, ...]] = ("weight",)
    onnx_types: ClassVar[tuple[str, ...]] = ("Gemm", "MatMul")

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Gemm or MatMul with a constant matrix behind; other products are other operators."""
        if node.op_type == "MatMul" and _is_constant(node, 0) and isinstance(node.operand(1), Tensor):
            return WithConstant.from_onnx(node)
        node.tensor(0)
        if node.op_type == "MatMul" and _is_constant(node, 1) and node.weights(1).ndim > 2:
            return WithConstant.from_onnx(node)
        if isinstance(node.operand(1), Tensor) and node.op_type == "MatMul":
            return node.task(MatMul(transposed=False), sources=(0, 1))
        return cls._from_gemm(node) if node.op_type == "Gemm" else cls._from_matmul(node)

    @classmethod
    def _from_gemm(cls, node: OnnxNode) -> Task:
        """alpha * X * B + beta * C."""
        node.require(not node.attributes.get("transA", 0), "transA must be 0. Supported: 0")
        weight = node.weights(1) * node.attributes.get("alpha", 1.0)
        weight = weight if node.attributes.get("transB", 0) else weight.T
        parameters = {"weight": weight}
        if (bias := node.numbers(2)) is not None:
            row = (1, weight.shape[0])
            node.require(
                np.broadcast_shapes(bias.shape, row) == row,
                f"the bias has shape {bias.shape}. Supported: one number per output, {row}",
            )
            parameters["bias"] = np.broadcast_to(bias * node.attributes.get("beta", 1.0), row)[0]
        return node.task(cls(1), parameters)

    @classmethod
    def _from_matmul(cls, node: OnnxNode) -> Task:
        """X @ B over the last axis of X."""
        weight = node.weights(1)
        node.require(
            weight.ndim == 2,
            f"the second operand has shape {weight.shape}. Supported: a matrix, of two dimensions",
        )
        return node.task(cls(len(node.tensor(0).shape) - 1), {"weight": weight.T})

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """Leading axes kept, contracted axes replaced by the outputs."""
        shape = inputs[0].shape
        outputs, depth = parameters["weight"].shape
        if prod(shape[self.axis :]) != depth:
            raise IntarsiaError(
                f"weight expects {depth} values, but {inputs[0].name!r} of {shape} has another number"
            )
        return (*shape[: self.axis], outputs), self.axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One matrix product."""
        x = inputs[0]
        weight = parameters["weight"]
        rows = x.reshape(-1, weight.shape[1])
        result = matmul(rows, weight.T)
        if "bias" in parameters:
            result = result + parameters["bias"]
        return result.reshape(*x.shape[: self.axis + 1], weight.shape[0])

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """Sum of |weight| times the largest input, plus |bias|, over the worst output."""
        bound = np.abs(parameters["weight"].astype(np.int64)).sum(axis=1) * magnitudes[0]
        if "bias" in parameters:
            bound = bound + np.abs(parameters["bias"])
        return int(bound.max())

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Anywhere among the contracted axes, else the last one."""
        (x,) = inputs
        return (x.channel_axis if x.channel_axis >= self.axis else len(x.shape) - 1,)

    def macs(self, task: Task, graph: TaskGraph) -> int:
        """Weights times rows."""
        return int(task.parameters["weight"].values.size) * prod(
            graph.input_tensors(task)[0].shape[: self.axis]
        )

    def work(self, task: Task, graph: TaskGraph) -> MacWork:
        """An engine that consumes whole rows; a flattened image is one row of all its pixels."""
        source = graph.input_tensors(task)[0]
        rows = prod(source.shape[: self.axis])
        return MacWork(
            pixels=rows,
            channels=source.channels,
            outputs=graph.output_tensor(task).channels,
            in_pixels=source.pixels // rows,
        )

    def weights_by_position(self, task: Task, graph: TaskGraph) -> Array:
        """Contracted axes split into pixels and channels."""
        source = graph.input_tensors(task)[0]
        weight = task.parameters["weight"].values
        split = weight.reshape(weight.shape[0], *source.shape[self.axis :])
        last = np.moveaxis(split, source.channel_axis - self.axis + 1, -1)
        return last.reshape(weight.shape[0], -1, source.channels)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """Flatten and Gemm for whole samples; MatMul and Add for rows of a matrix."""
        x = builder.activation(task.inputs[0])
        operands = builder.parameters(task, "weight", "bias")
        rank = len(graph.input_tensors(task)[0].shape)
        if self.axis == 1:
            flat = x if rank == 2 else builder.node("Flatten", [x], axis=1)
            return builder.node("Gemm", [flat, *operands], transB=1)
        transposed = builder.node("Transpose", operands[:1], perm=(1, 0))
        product = builder.node("MatMul", [x, transposed])
        return builder.node("Add", [product, operands[1]]) if len(operands) > 1 else product


def _is_constant(node: OnnxNode, index: int) -> bool:
    return node.operand(index) is not None and not isinstance(node.operand(index), Tensor)

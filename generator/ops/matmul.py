"""MatMul: the matrix product of two computed tensors, for each of several batches: attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..arithmetic.exact import matmul
from ..errors import IntarsiaError
from ..operator import Array, Operator
from ..work import MacWork

if TYPE_CHECKING:
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class MatMul(Operator):
    """Y[b, m, n] = sum over k of A[b, m, k] * B[b, n, k]; the axes before the last two are batches, the same for both.

    B has a row for each output, as hardware reads it. `transposed` = False is ONNX's B[b, k, n], which a pass moves.
    """

    transposed: bool = True

    name: ClassVar[str] = "MatMul"

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(batches, m, n), channels on the last axis."""
        first, second = (tensor.shape for tensor in inputs)
        rows, depth = second[-2:] if self.transposed else second[:-3:-1]
        if len(first) < 2 or first[:-2] != second[:-2] or first[-1] != depth:
            raise IntarsiaError(
                f"{inputs[0].name!r} of shape {first} and {inputs[1].name!r} of shape {second} do not fit. Supported: "
                "matrices with the same batch axes"
            )
        return (*first[:-1], rows), len(first) - 1

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One product per sample and batch."""
        first, second = inputs
        return matmul(first, np.swapaxes(second, -1, -2) if self.transposed else second)

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """The summands times the largest product."""
        return inputs[0].shape[-1] * magnitudes[0] * magnitudes[1]

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Both operands come by rows."""
        return tuple(len(tensor.shape) - 1 for tensor in inputs)

    def macs(self, task: Task, graph: TaskGraph) -> int:
        """Output elements times summands."""
        return prod(graph.output_tensor(task).shape) * graph.input_tensors(task)[0].shape[-1]

    def work(self, task: Task, graph: TaskGraph) -> MacWork:
        """An engine whose weights are the second operand."""
        source, output = graph.input_tensors(task)[0], graph.output_tensor(task)
        return MacWork(output.pixels, source.channels, output.channels, batches=prod(source.shape[:-2]))

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """MatMul, after a Transpose of the second operand."""
        first, second = (builder.activation(name) for name in task.inputs)
        rank = len(graph.input_tensors(task)[1].shape)
        if self.transposed:
            perm = (*range(rank - 2), rank - 1, rank - 2)
            second = builder.node("Transpose", [second], perm=perm)
        return builder.node("MatMul", [first, second])

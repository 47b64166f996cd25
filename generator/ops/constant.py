"""ConstantTensor: a tensor of fixed numbers as an operand, such as position embeddings, masks and factors per element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..operator import Array, Operator
from ..task_graph import Parameter
from ..work import ConstantWork

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class ConstantTensor(Operator):
    """Y = the parameter `values`, of shape (1, ..), for every sample. It has no inputs; its channels are on any axis."""

    channel_axis: int

    name: ClassVar[str] = "Constant"
    accumulates: ClassVar[bool] = False

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """The parameter's shape."""
        return parameters["values"].shape, self.channel_axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One sample, for the float model."""
        return parameters["values"][np.newaxis]

    def evaluate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """One sample."""
        return parameters["values"][np.newaxis]

    def quantised_parameters(
        self, task: Task, inputs: Sequence[FixedPoint], output: FixedPoint
    ) -> Mapping[str, Parameter]:
        """Raw numbers in the output's format."""
        return {"values": Parameter(output.quantise(task.values["values"]), output)}

    def work(self, task: Task, graph: TaskGraph) -> ConstantWork:
        """A constant unit."""
        output = graph.output_tensor(task)
        return ConstantWork(output.pixels, output.channels)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """A float constant of one sample, which its readers broadcast."""
        number = graph.output_tensor(task).number
        values = number.dequantise(task.values["values"]).astype(np.float32)
        return builder.constant(values, f"{task.name}/values")

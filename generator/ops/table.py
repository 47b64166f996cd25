"""The base of all functions of single elements: in hardware, a table of the result for every raw input, or lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..arithmetic.interpolation import MOST_ERROR, MOST_SEGMENTS, Lines, fit_lines, interpolate
from ..arithmetic.table_values import table_values
from ..errors import IntarsiaError
from ..fixed_point import Floats, Integers
from ..operator import Array, Operator
from ..task_graph import Parameter
from ..work import LinesWork, TableWork

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor

MOST_BITS = 12
"""A table has an entry for every raw input: 4096 for 12 bits, four BRAM18 for every two lanes. Wider inputs get lines."""


@dataclass(frozen=True)
class Table(Operator):
    """Y = function(X), element by element.

    A subclass gives the function, for the float model, and the ONNX nodes that compute it. Its fields are the attributes
    of the ONNX operator, under their names.
    """

    accumulates: ClassVar[bool] = False

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """A node whose attributes are the fields of the class."""
        return node.task(
            cls(**{f.name: node.attributes[f.name] for f in fields(cls) if f.name in node.attributes})
        )

    def function(self, x: Floats) -> Floats:
        """The real function."""
        raise NotImplementedError

    def nodes(self, builder: QdqBuilder, x: str) -> str:
        """Appends the ONNX nodes that compute the function of the float tensor `x`; returns the result's name."""
        attributes = {f.name: getattr(self, f.name) for f in fields(self)}
        return builder.node(self.name, [x], **attributes)

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As the input."""
        return inputs[0].shape, inputs[0].channel_axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """The real function, for the float model."""
        with np.errstate(all="ignore"):
            return self.function(np.asarray(inputs[0], dtype=np.float64))

    def evaluate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Looked up: entry number (raw input modulo size); or on the line of the input's segment."""
        raw: Integers = np.asarray(inputs[0], dtype=np.int64)
        if "table" in parameters:
            table = parameters["table"]
            return np.asarray(table[raw & (len(table) - 1)])
        lines = Lines(parameters["sections"], parameters["bases"], parameters["slopes"])
        return interpolate(raw, int(parameters["bits"]), lines)

    def tolerance(self, parameters: Mapping[str, Array]) -> int:
        """Tables are exact, lines are not."""
        return MOST_ERROR if "bases" in parameters else 0

    def quantised_parameters(
        self, task: Task, inputs: Sequence[FixedPoint], output: FixedPoint
    ) -> Mapping[str, Parameter]:
        """The table, or the lines that stand for it.

        Raises:
            IntarsiaError: the function is too steep for lines.
        """
        values = table_values(task, inputs[0], output)
        bits = inputs[0].bits
        if bits <= MOST_BITS:
            return {"table": Parameter(values, output)}
        lines = fit_lines(values)
        if lines is None:
            raise IntarsiaError(
                f"task {task.name!r} ({self.name}): for its {bits}-bit input {task.inputs[0]!r} the function is too steep in too "
                f"many places for {MOST_SEGMENTS} straight lines within {MOST_ERROR} LSB. Supported: any function of inputs "
                f"of up to {MOST_BITS} bits. Use --activation-bits {MOST_BITS} or fewer"
            )
        return {
            "bits": Parameter(np.array(bits)),
            "sections": Parameter(lines.sections),
            "bases": Parameter(lines.bases),
            "slopes": Parameter(lines.slopes),
        }

    def work(self, task: Task, graph: TaskGraph) -> TableWork | LinesWork:
        """A table unit, or one that interpolates."""
        output = graph.output_tensor(task)
        kind = LinesWork if "bases" in task.parameters else TableWork
        return kind(output.pixels, output.channels)

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """The ONNX nodes of the function."""
        return self.nodes(builder, builder.activation(task.inputs[0]))

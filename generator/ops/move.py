"""Move: the values of a tensor in another place and order: Transpose, Reshape, Slice, Pad, Expand, DepthToSpace, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from ..nest import FILL, LONGEST_TABLE, Digit, Indices, Nest, factor
from ..operator import Array, Operator
from ..repeated import repetition
from ..task_graph import UNBOUNDED
from ..transposed import exchanges
from ..work import MoveWork, RepeatWork, TransposeWork
from .move_rules import RULES, fill_value, moved_indices

if TYPE_CHECKING:
    from ..fixed_point import FixedPoint
    from ..onnx_graph.node_builder import NodeBuilder
    from ..onnx_graph.onnx_node import OnnxNode
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class Move(Operator):
    """Y[i] = X[n(i)], for the nest n over the elements of both in C order; `fill` where the nest has no source.

    `offset` and `digits` are the nest's (nest.py). The channels of the result may be on any axis, whatever those of X.
    In a quantised graph `fill` is a raw integer, less the zero point.
    """

    shape: tuple[int, ...]
    channel_axis: int
    offset: int
    digits: tuple[Digit, ...]
    fill: float = 0.0

    name: ClassVar[str] = "Move"
    homogeneous: ClassVar[bool] = True
    onnx_types: ClassVar[tuple[str, ...]] = tuple(RULES)

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """Any operator that only moves values, by the rule of its type."""
        x = node.tensor()
        node.require(
            prod(node.output_shape) > 0,
            f"its result has shape {node.output_shape}, which is empty. Remove it",
        )
        axis = x.channel_axis + len(node.output_shape) - len(x.shape)
        result = move(moved_indices(node), max(axis, 0), fill_value(node))
        if result is None:
            raise node.error(
                "it takes values in an order that no nest of counters walks. Supported: slices, repetitions, "
                f"permutations of axes, paddings, and any order of up to {LONGEST_TABLE} indices along one axis"
            )
        return node.task(result)

    @property
    def nest(self) -> Nest:
        """Source of every element of the result."""
        return Nest(self.offset, self.digits)

    @property
    def indices(self) -> Indices:
        """The same as an array of the result's shape."""
        return self.nest.indices().reshape(self.shape)

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """As told."""
        return self.shape, self.channel_axis

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Gathered values."""
        values = inputs[0].reshape(len(inputs[0]), -1)
        index = self.nest.indices()
        found = values[:, np.maximum(index, 0)]
        return np.where(index == FILL, found.dtype.type(self.fill), found).reshape(-1, *self.shape)

    def aligned(self, inputs: Sequence[FixedPoint], output: FixedPoint) -> Self:
        """With the raw fill of the input's format."""
        raw = int(inputs[0].quantise(np.asarray(self.fill))) - inputs[0].zero
        return replace(self, fill=raw)

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """No value is larger than in the input, but for the fill."""
        return max(magnitudes[0], abs(int(self.fill)))

    def keeps_format(self) -> bool:
        """Values stay as they are."""
        return True

    def work(self, task: Task, graph: TaskGraph) -> MoveWork | RepeatWork:
        """A move unit, a transpose unit where that is faster, or one that repeats pixels of a stream.

        But for the last, a nest walks over the words of memory.
        """
        source, result = graph.input_tensors(task)[0], graph.output_tensor(task)
        about = self.nest, self.shape, self.channel_axis, source.shape, source.channel_axis
        if task.clamp == UNBOUNDED and (times := repetition(*about)):
            return RepeatWork(
                pixels=result.pixels,
                channels=result.channels,
                height=source.shape[2],
                width=source.shape[3],
                down=times[0],
                across=times[1],
                rows_in_words=self.channel_axis == 3,
            )
        kind = TransposeWork if exchanges(*about) else MoveWork
        return kind(
            pixels=result.pixels,
            channels=result.channels,
            nest=self.nest,
            shape=self.shape,
            channel_axis=self.channel_axis,
            source_shape=source.shape,
            source_axis=source.channel_axis,
        )

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """`nodes`; a quantised fill is less the zero point, in steps of the input."""
        size = prod(graph.input_tensors(task)[0].shape[1:])
        fill = self.fill * builder.scale(task.inputs[0])
        return self.nodes(builder, builder.activation(task.inputs[0]), size, fill)

    def nodes(self, builder: NodeBuilder, x: str, size: int, fill: float, output: str = "") -> str:
        """Gather from the flattened sample, with the fill behind it where there are elements without source.

        Args:
            builder: takes the nodes.
            x: name of the input.
            size: elements of a sample of it.
            fill: real value of the fill.
            output: name of the result; "" for any.
        """

        def integers(values: object, name: str) -> str:
            return builder.constant(np.asarray(values, np.int64), f"{builder.prefix}/{name}")

        index = self.nest.indices()
        flat = builder.node("Reshape", [x, integers((-1, size), "flat")])
        if (index == FILL).any():
            pads = integers((0, 0, 0, 1), "one_more")
            flat = builder.node("Pad", [flat, pads, *([builder.number(fill, "fill")] if fill else [])])
            index = np.where(index == FILL, size, index)
        gathered = builder.node("Gather", [flat, integers(index, "indices")], axis=1)
        return builder.node("Reshape", [gathered, integers((-1, *self.shape[1:]), "shape")], output)


def move(indices: Indices, channel_axis: int, fill: float = 0.0) -> Move | None:
    """The move whose result takes these elements of the source in C order; None if no nest gives them."""
    found = factor(indices)
    if found is None:
        return None
    return Move(indices.shape, channel_axis, found.offset, found.digits, fill)

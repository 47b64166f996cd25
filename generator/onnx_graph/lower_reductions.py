"""Reductions over any axes as pools and matrix products. Part of normalise.py.

ReduceMean, ReduceMax      the reduced axes as the pixels of an image, under one window of a pool
ReduceMin                  the negative of the largest negative
ReduceSum                  a product with a column of ones
ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum, ReduceLogSumExp: functions of elements around a sum

A batch is never reduced.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import NodeProto

from ..errors import IntarsiaError
from .rewriter import ShapedRewriter, attributes_of, error

_SUMS = {
    "ReduceSum": ("", ""),
    "ReduceL1": ("Abs", ""),
    "ReduceL2": ("square", "Sqrt"),
    "ReduceSumSquare": ("square", ""),
    "ReduceLogSum": ("", "Log"),
    "ReduceLogSumExp": ("Exp", "Log"),
}
"""What is done to the elements before, and to the sum after."""
_POOLS = {"ReduceMean": "AveragePool", "ReduceMax": "MaxPool", "ReduceMin": "MaxPool"}


REPLACED = dict.fromkeys(_POOLS, "A pool over the reduced axes.") | dict.fromkeys(
    _SUMS, "The product with a column of ones, between functions of elements."
)
"""ONNX operators that become others here, and what they become."""


def apply(model: onnx.ModelProto, kept: frozenset[str]) -> None:
    """Replaces the nodes in place, but for those of the names `kept`.

    Raises:
        IntarsiaError: a node reduces the batch, or over axes that are computed.
    """
    lowering = _Lowering(model)
    for node in model.graph.node:
        lowering.begin(node)
        if node.name not in kept and node.op_type in (*_SUMS, *_POOLS) and node.input[0] in lowering.shapes:
            lowering.lower(node)
        else:
            lowering.keep(node)
    lowering.finish()


class _Lowering(ShapedRewriter):
    def lower(self, node: NodeProto) -> None:
        """The nodes that do the same."""
        x, result = node.input[0], node.output[0]
        shape = self.shapes[x]
        axes = self._axes(node, len(shape))
        if not axes:
            self.node("Identity", [x], result)
            return
        if 0 in axes:
            raise _of_batch(node, shape)
        keeps = bool(attributes_of(node).get("keepdims", 1))
        final = [1 if axis in axes else size for axis, size in enumerate(shape) if keeps or axis not in axes]
        if node.op_type in _POOLS:
            self._pool(node.op_type, x, shape, axes, final, result)
        else:
            self._sum(node.op_type, x, shape, axes, final, result)

    def _axes(self, node: NodeProto, rank: int) -> list[int]:
        """The reduced axes, in order; none if the node does nothing."""
        given = attributes_of(node).get("axes")
        if len(node.input) > 1 and node.input[1]:
            if node.input[1] not in self.constants:
                raise error(node, f"its axes, {node.input[1]!r}, are computed. Supported: constants")
            given = self.constants[node.input[1]].tolist()
        if given is None or len(given) == 0:
            return [] if attributes_of(node).get("noop_with_empty_axes", 0) else list(range(rank))
        return sorted(axis % rank for axis in given)

    def _pool(
        self, op_type: str, x: str, shape: tuple[int, ...], axes: list[int], final: list[int], result: str
    ) -> None:
        """The image (1, channels, other pixels, reduced pixels), under a window of one row."""
        rank = len(shape)
        others = [axis for axis in range(1, rank) if axis not in axes]
        usual = 1 if rank == 4 else rank - 1
        first = usual if usual in others else others[-1] if others else None
        others = [axis for axis in others if axis != first]
        channels = 1 if first is None else shape[first]
        size = prod(shape[axis] for axis in axes)
        order = [0, *([] if first is None else [first]), *others, *axes]
        pixels = prod(shape[axis] for axis in others)
        image = self._shaped(self._permuted(x, order), (1, channels, pixels, size))
        if op_type == "ReduceMin":
            image = self.node("Mul", [image, self.number(-1, "minus_one")])
        if pixels == 1:
            pooled = self.node(f"Global{_POOLS[op_type]}", [image])
        else:
            pooled = self.node(_POOLS[op_type], [image], kernel_shape=[1, size], strides=[1, size])
        if op_type == "ReduceMin":
            pooled = self.node("Mul", [pooled, self.number(-1, "minus_one")])
        left = order[1 : rank - len(axes)]
        if left != sorted(left):
            pooled = self._shaped(pooled, (1, *(shape[axis] for axis in left)))
            pooled = self._permuted(pooled, [0, *(1 + left.index(axis) for axis in sorted(left))])
        self._shaped(pooled, tuple(final), result)

    def _sum(
        self, op_type: str, x: str, shape: tuple[int, ...], axes: list[int], final: list[int], result: str
    ) -> None:
        """Rows of the elements to add, times a column of ones."""
        before, after = _SUMS[op_type]
        if before == "square":
            x = self.node("Mul", [x, x])
        elif before:
            x = self.node(before, [x])
        others = [axis for axis in range(1, len(shape)) if axis not in axes]
        size = prod(shape[axis] for axis in axes)
        rows = self._permuted(x, [0, *others, *axes])
        if others[-1:] and axes == [len(shape) - 1]:
            total = self.node("MatMul", [rows, self.constant(np.ones((size, 1), np.float32), "ones")])
        else:
            rows = self._shaped(rows, (1, prod(shape[axis] for axis in others), size))
            total = self.node("MatMul", [rows, self.constant(np.ones((size, 1), np.float32), "ones")])
        if after:
            total = self._shaped(total, tuple(final))
            self.node(after, [total], result)
        else:
            self._shaped(total, tuple(final), result)

    def _permuted(self, x: str, order: list[int]) -> str:
        return x if order == sorted(order) else self.node("Transpose", [x], perm=order)

    def _shaped(self, x: str, shape: tuple[int, ...], result: str = "") -> str:
        return self.node("Reshape", [x, self.constant(np.array(shape, np.int64), "shape")], result)


def _of_batch(node: NodeProto, shape: tuple[int, ...]) -> IntarsiaError:
    return error(
        node,
        f"it reduces axis 0 of {node.input[0]!r} of shape {shape}, the batch. Supported: the other axes, of each sample by itself",
    )

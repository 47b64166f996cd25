"""Operators of several operands as operators of two operands of one shape. Part of normalise.py.

Sum, Mean, Max, Min        a chain of operators of two operands
A / B                      A * Reciprocal(B)
Where(constant, A, B)      A * mask + B * (1 - mask), unless B is the minus infinity of a Softmax
Trilu(A)                   A * mask
Pow(A, several exponents)  the sum, over up to 8 exponents, of mask * Pow(A * mask + 1 - mask, exponent)
Max, Min with a number     Clip
MatMul(constant, A)        (A' * constant')'
MatMul(A, vector)          MatMul(A, column)
operands of less axes, or of size 1 where others are larger: Expand
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from ..operator import Array
from ..ops.mask import LEAST
from .rewriter import ShapedRewriter, attributes_of

_BY_ELEMENT = ("Add", "Sub", "Mul", "Div", "Max", "Min")
_CHAINS = {"Sum": "Add", "Mean": "Add", "Max": "Max", "Min": "Min"}
_MOST_EXPONENTS = 8
_CLIP_BY_ATTRIBUTES = 11
"""Opset from which on the bounds of Clip are operands."""


REPLACED = {
    "Mean": "A chain of sums, times a factor.",
    "Pow": "With up to 8 exponents: the sum of a function for each, times a mask.",
    "Sum": "A chain of sums.",
    "Trilu": "The product with a mask.",
    "Where": "The sum of both operands, each times a mask; a computed condition has to choose between finite values.",
}
"""ONNX operators that only become others here, and what they become."""


def apply(model: onnx.ModelProto, kept: frozenset[str]) -> None:
    """Replaces the nodes in place, but for those of the names `kept`."""
    lowering = _Lowering(model)
    for node in model.graph.node:
        lowering.begin(node)
        if node.name in kept:
            lowering.keep(node)
        else:
            lowering.lower(node)
    lowering.finish()


class _Lowering(ShapedRewriter):
    """Knows the shapes of the tensors that it makes."""

    def constant(self, values: Array, wish: str) -> str:
        """Add a constant; returns its name."""
        name = super().constant(values, wish)
        self.shapes[name] = np.shape(values)
        return name

    def lower(self, node: NodeProto) -> None:
        """The nodes that do the same."""
        operands, result = list(node.input), node.output[0]
        known = all(name in self.shapes for name in operands if name)
        match node.op_type:
            case "Sum" | "Mean" | "Max" | "Min" if known and (
                len(operands) != 2 or node.op_type in ("Sum", "Mean")
            ):
                self._chain(node.op_type, operands, result)
            case "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" if known and len(operands) == 2:
                self._pair(node.op_type, operands[0], operands[1], result, node)
            case "Where" if known and operands[0] in self.constants and not self._is_mask(operands):
                self._where(operands, result)
            case "Trilu" if known:
                self._triangle(node, result)
            case "Pow" if known and operands[1] in self.constants:
                self._power(node, operands, result)
            case "MatMul" if known:
                self._matmul(operands, result, node)
            case _:
                self.keep(node)

    def _chain(self, op_type: str, operands: Sequence[str], result: str) -> None:
        """Computed operands one after the other, then the constants as one."""
        computed = [name for name in operands if name not in self.constants]
        fixed = [self.constants[name] for name in operands if name in self.constants]
        if fixed:
            combine = {"Max": np.maximum, "Min": np.minimum}.get(op_type, np.add)
            computed.append(self.constant(reduce(combine, fixed), f"{result}, constants"))
        total = computed[0]
        for number, name in enumerate(computed[1:], start=1):
            last = op_type != "Mean" and number == len(computed) - 1
            total = self._pair(_CHAINS[op_type], total, name, result if last else "")
        if op_type == "Mean":
            self._pair("Mul", total, self.number(1 / len(operands), "share"), result)
        elif len(computed) == 1:
            self.node("Identity", [total], result)

    def _pair(
        self, op_type: str, first: str, second: str, result: str = "", node: NodeProto | None = None
    ) -> str:
        """One operator of two operands of one shape; constants stay as they are. Returns the result's name."""
        shape = np.broadcast_shapes(self.shapes[first], self.shapes[second])
        if op_type == "Div" and second not in self.constants:
            inverse = self.node("Reciprocal", [second])
            self.shapes[inverse] = self.shapes[second]
            return self._pair("Mul", first, inverse, result)
        bound = next((name for name in (first, second) if name in self.constants), "")
        if op_type in ("Max", "Min") and bound and self.constants[bound].size == 1:
            return self._clip(op_type, second if bound == first else first, bound, shape, result)
        operands = [self._expanded(name, shape) for name in (first, second)]
        if node is not None and operands == [first, second]:
            self.keep(node)
            return result
        made = self.node(op_type, operands, result)
        self.shapes[made] = shape
        return made

    def _clip(self, op_type: str, x: str, bound: str, shape: tuple[int, ...], result: str) -> str:
        """Max(x, number) or Min(x, number)."""
        value = float(self.constants[bound].reshape(()))
        x = self._expanded(x, shape)
        if self.opset < _CLIP_BY_ATTRIBUTES:
            limit: dict[str, Any] = {"min" if op_type == "Max" else "max": value}
            made = self.node("Clip", [x], result, **limit)
        else:
            scalar = self.number(value, "bound")
            made = self.node("Clip", [x, scalar] if op_type == "Max" else [x, "", scalar], result)
        self.shapes[made] = shape
        return made

    def _expanded(self, name: str, shape: tuple[int, ...]) -> str:
        """A computed tensor in that shape."""
        if name in self.constants or self.shapes[name] == shape:
            return name
        made = self.node("Expand", [name, self.constant(np.array(shape, np.int64), f"{name}, shape")])
        self.shapes[made] = shape
        return made

    def _is_mask(self, operands: Sequence[str]) -> bool:
        """True if one of the two is minus infinity throughout."""
        fixed = [self.constants[name] for name in operands[1:] if name in self.constants]
        return any(bool((values <= LEAST).all()) for values in fixed)

    def _where(self, operands: Sequence[str], result: str) -> None:
        """Both of them, each times its mask; the other one is zero there, which makes their sum exact."""
        condition = self.constants[operands[0]].astype(bool)
        shape = np.broadcast_shapes(*(self.shapes[name] for name in operands))
        parts = [
            self._masked(name, mask, shape)
            for name, mask in zip(operands[1:], (condition, ~condition), strict=True)
        ]
        self._pair("Add", parts[0], parts[1], result)

    def _masked(self, name: str, mask: Array, shape: tuple[int, ...]) -> str:
        if name in self.constants:
            return self.constant(
                np.where(np.broadcast_to(mask, shape), self.constants[name], 0), f"{name}, masked"
            )
        return self._pair("Mul", self._expanded(name, shape), self._mask(mask))

    def _mask(self, mask: Array) -> str:
        return self.constant(mask.astype(np.float32), "mask")

    def _triangle(self, node: NodeProto, result: str) -> None:
        """The part of each matrix on one side of a diagonal."""
        diagonal = int(self.value(node, 1, np.array(0)).reshape(()))
        upper = attributes_of(node).get("upper", 1)
        ones = np.ones(self.shapes[node.input[0]][-2:])
        mask = np.triu(ones, diagonal) if upper else np.tril(ones, diagonal)
        self._pair("Mul", node.input[0], self._mask(mask), result)

    def _power(self, node: NodeProto, operands: Sequence[str], result: str) -> None:
        """A function for each exponent, of elements that are 1 where it is another one's turn."""
        exponents = self.constants[operands[1]]
        different = np.unique(exponents)
        if not 1 < len(different) <= _MOST_EXPONENTS:
            self.keep(node)
            return
        shape = np.broadcast_shapes(self.shapes[operands[0]], exponents.shape)
        x, total = self._expanded(operands[0], shape), ""
        for number, exponent in enumerate(different, start=1):
            mask = np.broadcast_to(exponents == exponent, shape)
            own = self._pair("Mul", x, self._mask(mask))
            own = self._pair("Add", own, self._mask(~mask))
            power = self.node("Pow", [own, self.number(float(exponent), "exponent")])
            self.shapes[power] = shape
            part = self._pair("Mul", power, self._mask(mask))
            if total:
                part = self._pair("Add", total, part, result if number == len(different) else "")
            total = part

    def _matmul(self, operands: Sequence[str], result: str, node: NodeProto) -> None:
        """Batches of one shape; a constant matrix in front goes behind."""
        first, second = (self.shapes[name] for name in operands)
        if len(second) == 1 and operands[1] in self.constants and len(first) > 2:
            column = self.constant(self.constants[operands[1]][:, np.newaxis], f"{operands[1]}, column")
            product = self.node("MatMul", [operands[0], column])
            self.node("Reshape", [product, self.constant(np.array(first[:-1], np.int64), "shape")], result)
            return
        if min(len(first), len(second)) < 2:
            self.keep(node)
            return
        if operands[0] in self.constants and first[:-2] == () and len(second) > 2:
            swapped = self._transposed(operands[1])
            weight = self.constant(self.constants[operands[0]].T, f"{operands[0]}, transposed")
            product = self.node("MatMul", [swapped, weight])
            self.shapes[product] = (*second[:-2], second[-1], first[0])
            self._transposed(product, result)
            return
        weights = operands[1] in self.constants and len(second) == 2
        batches = first[:-2] if weights else np.broadcast_shapes(first[:-2], second[:-2])
        expanded = [self._expanded(name, (*batches, *self.shapes[name][-2:])) for name in operands]
        if expanded == list(operands):
            self.keep(node)
        else:
            self.node("MatMul", expanded, result)

    def _transposed(self, name: str, result: str = "") -> str:
        """Rows and columns exchanged."""
        shape = self.shapes[name]
        rank = len(shape)
        perm = [*range(rank - 2), rank - 1, rank - 2]
        made = self.node("Transpose", [name], result, perm=perm)
        self.shapes[made] = tuple(shape[axis] for axis in perm)
        return made

"""Nodes that do with tensors of one more axis, of size 1 and in front, what they did: for sample_axis.py and moved_batch.py.

Every node that names axes or shapes names them anew. The values stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from ..errors import IntarsiaError
from .batch_axis import OF_BATCHES
from .node_axes import BROADCASTING, REDUCING, RESHAPING, WITH_AXIS, NodeAxes
from .rewriter import Rewriter, attributes_of, error

_FIRST_WITH_AXES_INPUT = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13, "Slice": 10, "Pad": 18}
"""Opset from which axes are an operand; 18 for other reductions."""


class Lifted(Rewriter):
    """Builds the nodes of a model anew, for tensors with an axis of size 1 in front."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Works on a model whose shapes are inferred, in place; `finish` puts the new nodes and constants into it."""
        super().__init__(model)
        self.known = NodeAxes.of(model)

    def lift(self, node: NodeProto) -> None:
        """Adds what takes the node's place.

        Raises:
            IntarsiaError: it cannot work on tensors with one more axis.
        """
        match node.op_type:
            case "Gemm":
                self._gemm(node)
            case "MatMul":
                self._matmul(node)
            case kind if kind in BROADCASTING:
                self._pad_ranks(node, len(self.known.shape(node.output[0])))
                self.keep(node)
            case kind if kind in RESHAPING:
                shape = (1, *self.known.shape(node.output[0]))
                self.as_shape(node.input[0], shape, node.output[0], node.name)
            case kind if kind in (*OF_BATCHES, "Resize"):
                raise _error(node, "its operator has a batch axis by its definition")
            case _:
                self._rename_axes(node)
                self.keep(node)

    def _rename_axes(self, node: NodeProto) -> None:
        """The axes and sizes that a node names; none where it works element by element."""
        known = self.known
        match node.op_type:
            case "Gather" if node.input[0] in known.constants:
                if known.axis(node) != 0:
                    raise _error(node, "it takes columns of a constant")
            case kind if kind in WITH_AXIS:
                _set(node, "axis", known.axis(node) + 1)
            case kind if kind in REDUCING:
                if axes := known.axes(node):
                    self._set_axes(node, axes, 1)
            case "Slice":
                self._set_axes(node, known.axes(node), 3)
            case "Transpose":
                _set(node, "perm", [0, *(axis + 1 for axis in known.perm(node))])
            case "Expand":
                shape = known.shape(node.output[0])
                self._pad_ranks(node, len(shape))
                node.input[1] = self._integers(node, "shape", (1, *shape))
            case "Tile":
                repeats = known.integers(node, "repeats", 1) or []
                node.input[1] = self._integers(node, "repeats", [1, *repeats])
            case "Pad":
                self._pad(node)

    def _pad_ranks(self, node: NodeProto, rank: int) -> None:
        """Axes of size 1 behind the first one, for operands that have fewer than the result."""
        for index, name in enumerate(node.input):
            if name and name not in self.known.constants and len(self.known.shape(name)) < rank:
                node.input[index] = self._widened(
                    name, self.known.shape(name), rank, f"{node.output[0]}, widened {index}"
                )

    def _widened(self, name: str, shape: Sequence[int], rank: int, result: str) -> str:
        """A tensor, of this shape before, with so many axes behind the first one."""
        return self.as_shape(name, (1, *(1,) * (rank - len(shape)), *shape), result)

    def as_shape(self, source: str, shape: Sequence[int], result: str, name: str = "") -> str:
        """Adds a Reshape that makes `result`, and gives its name."""
        target = self.constant(np.array(shape, dtype=np.int64), f"{result}, shape")
        return self.node("Reshape", [source, target], result, name=name or result)

    def _integers(self, node: NodeProto, what: str, values: Sequence[int]) -> str:
        return self.constant(np.array(values, dtype=np.int64), f"{node.output[0]}, {what}")

    def _reals(self, node: NodeProto, what: str, values: Any) -> str:
        return self.constant(np.asarray(values, dtype=np.float32), f"{node.output[0]}, {what}, constant")

    def _set_axes(self, node: NodeProto, axes: Sequence[int], index: int) -> None:
        """As an attribute or an operand, whatever this opset has."""
        shifted = [axis + 1 for axis in axes]
        if self.known.opset < _FIRST_WITH_AXES_INPUT.get(node.op_type, 18):
            _set(node, "axes", shifted)
            return
        node.input.extend([""] * (index + 1 - len(node.input)))
        node.input[index] = self._integers(node, "axes", shifted)

    def _pad(self, node: NodeProto) -> None:
        known = self.known
        pads = known.integers(node, "pads", 1) or []
        half = len(pads) // 2
        if "pads" in attributes_of(node):
            _set(node, "pads", [0, *pads[:half], 0, *pads[half:]])
        elif len(node.input) > 3 and node.input[3]:
            node.input[3] = self._integers(node, "axes", [axis + 1 for axis in known.axes(node)])
        else:
            node.input[1] = self._integers(node, "pads", [0, *pads[:half], 0, *pads[half:]])

    def _matmul(self, node: NodeProto) -> None:
        ranks = [len(self.known.shape(name)) for name in node.input]
        computed = self.known.computed(node)
        if (ranks[1] == 1 and node.input[1] in computed) or (ranks[0] == 1 and ranks[1] > 2):
            self._vectors(node)
            return
        if ranks[0] > 1:
            self._pad_ranks(node, max(ranks))
        self.keep(node)

    def _vectors(self, node: NodeProto) -> None:
        """A vector as a row or a column, and the product without the axis of size 1 again."""
        result = node.output[0]
        rank = max(2, *(len(self.known.shape(name)) for name in node.input))
        operands = []
        for index, name in enumerate(node.input):
            shape = self.known.shape(name)
            if len(shape) == 1:
                shape = (*shape, 1) if index else (1, *shape)
            if name in self.known.constants:
                values = self.known.constants[name].reshape(shape)
                operands.append(self._reals(node, f"operand {index}", values))
            else:
                operands.append(self._widened(name, shape, rank, f"{result}, operand {index}"))
        product = self.node("MatMul", operands, f"{result}, product", name=f"{node.name}, product")
        self.as_shape(product, (1, *self.known.shape(result)), result, node.name)

    def _gemm(self, node: NodeProto) -> None:
        """A product and a sum, because Gemm knows two axes only."""
        known, given = self.known, attributes_of(node)
        factor, summand = given.get("alpha", 1.0), given.get("beta", 1.0)
        operands = []
        for index, name in enumerate(node.input[:2]):
            turned = bool(given.get("transB" if index else "transA", 0))
            if name in known.constants:
                values = known.constants[name] * np.float32(factor if index else 1.0)
                operands.append(self._reals(node, f"operand {index}", values.T if turned else values))
            elif turned:
                moved = f"{node.output[0]}, turned {index}"
                operands.append(self.node("Transpose", [name], moved, name=moved, perm=[0, 2, 1]))
            else:
                operands.append(name)
        steps: list[tuple[str, str]] = []
        if node.input[1] not in known.constants and factor != 1.0:
            steps.append(("Mul", self._reals(node, "alpha", np.float32(factor))))
        if len(node.input) > 2 and node.input[2]:
            if node.input[2] not in known.constants:
                raise error(node, "its operand C is computed. Supported: a constant")
            bias = known.constants[node.input[2]] * np.float32(summand)
            steps.append(("Add", self._reals(node, "bias", bias)))
        results = [f"{node.output[0]}, step {number}" for number in range(len(steps))] + [node.output[0]]
        last = self.node("MatMul", operands, results[0], name=f"{node.name}, product" if steps else node.name)
        for (kind, constant), result in zip(steps, results[1:], strict=True):
            name = node.name if result == node.output[0] else f"{node.name}, {kind}"
            last = self.node(kind, [last, constant], result, name=name)


def _error(node: NodeProto, why: str) -> IntarsiaError:
    return error(
        node,
        f"{why}, but elsewhere the model mixes indices of axis 0 of its inputs. Supported: axis 0 as the batch everywhere, or "
        "nowhere. Export the model with a batch axis",
    )


def _set(node: NodeProto, name: str, value: Any) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    copies = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, helper.make_attribute(name, value)])

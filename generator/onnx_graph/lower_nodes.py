"""ONNX nodes with several inputs or outputs as nodes with one, which tasks can stand for. Part of normalise.py.

Split of a matrix product      a product for each part, with its share of the weights
Split                          a Slice for each part
Concat                         each part padded with zeros to the whole, and the sum of all
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from ..errors import IntarsiaError
from ..operator import Array
from . import onnx_checks
from .constant_folding import shapes_of

REPLACED = {"Concat": "The sum of its parts, padded.", "Split": "A Slice for each part, or a product."}
"""ONNX operators that become others here, and what they become."""


def apply(model: onnx.ModelProto, kept: frozenset[str]) -> None:
    """Replaces the nodes in place, but for those of the names `kept`.

    Raises:
        IntarsiaError: the parts of a Split or Concat are not known.
    """
    lowering = _Lowering(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        match node.op_type:
            case _ if node.name in kept:
                nodes.append(node)
            case "Split":
                nodes += lowering.split(node, nodes)
            case "Concat":
                nodes += lowering.concat(node)
            case _:
                nodes.append(node)
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


class _Lowering:
    """Makes nodes and the constants that they need."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.opset = onnx_checks.opset(model)
        self.shapes = shapes_of(model.graph)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.outputs = {value.name for value in model.graph.output}

    def split(self, node: NodeProto, before: list[NodeProto]) -> list[NodeProto]:
        """A Slice for each part; or a product for each, which takes the place of the whole one."""
        shape = self.shapes[node.input[0]]
        axis = _attribute(node, "axis", 0) % len(shape)
        ranges = self._ranges(node, shape[axis])
        product = self._product(node, before, axis)
        if product is not None:
            for taken in product:
                before.remove(taken)
            return list(self._products(node, product, ranges))
        return [
            self._slice(node.input[0], output, axis, low, high)
            for output, (low, high) in zip(node.output, ranges, strict=True)
            if output
        ]

    def concat(self, node: NodeProto) -> list[NodeProto]:
        """Zeros around each part, and sums."""
        shape = self.shapes[node.output[0]]
        axis = _attribute(node, "axis", 0) % len(shape)
        if len(node.input) == 1:
            return [helper.make_node("Identity", node.input, node.output, name=node.name)]
        nodes: list[NodeProto] = []
        total = ""
        start = 0
        for number, name in enumerate(node.input):
            size = self.shapes[name][axis]
            part = f"{node.output[0]}, part {number}"
            nodes.append(self._pad(name, part, axis, start, shape[axis] - start - size))
            start += size
            if total:
                last = number == len(node.input) - 1
                sum_name = node.output[0] if last else f"{node.output[0]}, parts 0 to {number}"
                nodes.append(helper.make_node("Add", [total, part], [sum_name], name=sum_name))
                total = sum_name
            else:
                total = part
        return nodes

    def _ranges(self, node: NodeProto, size: int) -> list[tuple[int, int]]:
        """First and last index of each part."""
        sizes = _attribute(node, "split", None)
        if len(node.input) > 1 and node.input[1]:
            if node.input[1] not in self.constants:
                raise IntarsiaError(
                    f"Split node {node.name!r}: the sizes of its parts, {node.input[1]!r}, are computed. Supported: constants"
                )
            sizes = numpy_helper.to_array(self.constants[node.input[1]]).tolist()
        if sizes is None:
            step = -(-size // len(node.output))
            sizes = [min(step, size - start) for start in range(0, size, step)]
        ends = np.cumsum(sizes).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    def _product(self, node: NodeProto, before: list[NodeProto], axis: int) -> list[NodeProto] | None:
        """The product, and its bias if that is a node of its own, whose result only the Split reads."""
        if axis != len(self.shapes[node.input[0]]) - 1:
            return None
        found: list[NodeProto] = []
        name = node.input[0]
        while True:
            readers = [n for n in self.graph.node if name in n.input]
            maker = next((n for n in before if name in n.output), None)
            if maker is None or len(readers) != 1 or name in self.outputs:
                return None
            found.append(maker)
            if maker.op_type == "MatMul" and maker.input[1] in self.constants:
                return found
            if maker.op_type == "Gemm" and maker.input[1] in self.constants:
                bias = maker.input[2] if len(maker.input) > 2 else ""
                return found if not bias or bias in self.constants else None
            constants = [operand for operand in maker.input if operand in self.constants]
            if len(found) > 1 or maker.op_type != "Add" or len(constants) != 1:
                return None
            name = next(operand for operand in maker.input if operand not in self.constants)

    def _products(
        self, node: NodeProto, product: Sequence[NodeProto], ranges: Sequence[tuple[int, int]]
    ) -> Iterator[NodeProto]:
        for output, (low, high) in zip(node.output, ranges, strict=True):
            name = output
            made: list[NodeProto] = []
            for step in product:  # from the last to the first
                copy = NodeProto()
                copy.CopyFrom(step)
                copy.output[0] = name
                copy.name = output if step is product[-1] else f"{step.name}, {output}"
                rows = step.op_type == "Gemm" and bool(_attribute(step, "transB", 0))
                for index, operand in enumerate(step.input):
                    if operand in self.constants:
                        values = numpy_helper.to_array(self.constants[operand])
                        cut = values[low:high] if rows and index == 1 else _last(values, low, high)
                        copy.input[index] = self._constant(f"{operand} for {output}", cut)
                    elif step is not product[-1]:
                        name = f"{operand}, {output}"
                        copy.input[index] = name
                made.append(copy)
            yield from reversed(made)

    def _slice(self, source: str, result: str, axis: int, low: int, high: int) -> NodeProto:
        if self.opset < 10:
            return helper.make_node(
                "Slice", [source], [result], name=result, axes=[axis], starts=[low], ends=[high]
            )
        operands = [
            self._constant(f"{result}, {what}", np.array([value], dtype=np.int64))
            for what, value in (("start", low), ("end", high), ("axis", axis))
        ]
        return helper.make_node("Slice", [source, *operands], [result], name=result)

    def _pad(self, source: str, result: str, axis: int, before: int, after: int) -> NodeProto:
        rank = len(self.shapes[source])
        pads = [0] * (2 * rank)
        pads[axis], pads[axis + rank] = before, after
        if self.opset < 11:
            return helper.make_node("Pad", [source], [result], name=result, pads=pads)
        widths = self._constant(f"{result}, pads", np.array(pads, dtype=np.int64))
        return helper.make_node("Pad", [source, widths], [result], name=result)

    def _constant(self, name: str, values: Array) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _last(values: Array, low: int, high: int) -> Array:
    """The range of the last axis; all of a number that serves every element."""
    return values if values.ndim == 0 or values.shape[-1] == 1 else values[..., low:high]


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next(
        (helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name),
        default,
    )

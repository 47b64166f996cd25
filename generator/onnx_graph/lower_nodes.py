"""ONNX nodes with several inputs or outputs as nodes with one, which tasks can stand for. Part of normalise.py.

Split of a matrix product      a product for each part, with its share of the weights
Split                          a Slice for each part
Concat                         each part padded with zeros to the whole, and the sum of all
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto

from ..operator import Array
from .rewriter import ShapedRewriter, attributes_of, error

REPLACED = {"Concat": "The sum of its parts, padded.", "Split": "A Slice for each part, or a product."}
"""ONNX operators that become others here, and what they become."""


def apply(model: onnx.ModelProto, kept: frozenset[str]) -> None:
    """Replaces the nodes in place, but for those of the names `kept`.

    Raises:
        IntarsiaError: the parts of a Split or Concat are not known.
    """
    lowering = _Lowering(model)
    for node in model.graph.node:
        lowering.begin(node)
        match node.op_type:
            case "Split" if node.name not in kept:
                lowering.split(node)
            case "Concat" if node.name not in kept:
                lowering.concat(node)
            case _:
                lowering.keep(node)
    lowering.finish()


class _Lowering(ShapedRewriter):
    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self.outputs = {value.name for value in model.graph.output}

    def split(self, node: NodeProto) -> None:
        """A Slice for each part; or a product for each, which takes the place of the whole one."""
        shape = self.shapes[node.input[0]]
        axis = attributes_of(node).get("axis", 0) % len(shape)
        ranges = self._ranges(node, shape[axis])
        if product := self._product(node, axis):
            for taken in product:
                self.nodes.remove(taken)
            for output, (low, high) in zip(node.output, ranges, strict=True):
                self._product_of(product, output, low, high)
            return
        for output, (low, high) in zip(node.output, ranges, strict=True):
            if output:
                self._slice(node.input[0], output, axis, low, high)

    def concat(self, node: NodeProto) -> None:
        """Zeros around each part, and sums."""
        result = node.output[0]
        shape = self.shapes[result]
        axis = attributes_of(node).get("axis", 0) % len(shape)
        if len(node.input) == 1:
            self.node("Identity", node.input, result, name=node.name)
            return
        total = ""
        start = 0
        for number, name in enumerate(node.input):
            size = self.shapes[name][axis]
            part = self._pad(name, f"{result}, part {number}", axis, start, shape[axis] - start - size)
            start += size
            if total:
                last = number == len(node.input) - 1
                whole = result if last else f"{result}, parts 0 to {number}"
                total = self.node("Add", [total, part], whole, name=whole)
            else:
                total = part

    def _ranges(self, node: NodeProto, size: int) -> list[tuple[int, int]]:
        """First and last index of each part."""
        sizes = attributes_of(node).get("split")
        if len(node.input) > 1 and node.input[1]:
            if node.input[1] not in self.constants:
                raise error(
                    node, f"the sizes of its parts, {node.input[1]!r}, are computed. Supported: constants"
                )
            sizes = self.constants[node.input[1]].tolist()
        if sizes is None:
            step = -(-size // len(node.output))
            sizes = [min(step, size - start) for start in range(0, size, step)]
        ends = np.cumsum(sizes).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    def _product(self, node: NodeProto, axis: int) -> list[NodeProto]:
        """The bias, if that is a node of its own, and the product, where only the Split reads the result; else nothing."""
        if axis != len(self.shapes[node.input[0]]) - 1:
            return []
        found: list[NodeProto] = []
        name = node.input[0]
        while True:
            readers = [n for n in self.graph.node if name in n.input]
            maker = next((n for n in self.nodes if name in n.output), None)
            if maker is None or len(readers) != 1 or name in self.outputs:
                return []
            found.append(maker)
            if maker.op_type == "MatMul" and maker.input[1] in self.constants:
                return found
            if maker.op_type == "Gemm" and maker.input[1] in self.constants:
                bias = maker.input[2] if len(maker.input) > 2 else ""
                return found if not bias or bias in self.constants else []
            constants = [operand for operand in maker.input if operand in self.constants]
            if len(found) > 1 or maker.op_type != "Add" or len(constants) != 1:
                return []
            name = next(operand for operand in maker.input if operand not in self.constants)

    def _product_of(self, product: Sequence[NodeProto], output: str, low: int, high: int) -> None:
        """A product, and its bias, for a range of the output channels."""
        result = output
        made: list[NodeProto] = []
        for step in product:  # from the last to the first
            copy = NodeProto.FromString(step.SerializeToString())
            copy.output[0] = result
            copy.name = output if step is product[-1] else f"{step.name}, {output}"
            rows = step.op_type == "Gemm" and bool(attributes_of(step).get("transB", 0))
            for index, operand in enumerate(step.input):
                if operand in self.constants:
                    values = self.constants[operand]
                    cut = values[low:high] if rows and index == 1 else _last(values, low, high)
                    copy.input[index] = self.constant(cut, f"{operand} for {output}")
                elif step is not product[-1]:
                    result = f"{operand}, {output}"
                    copy.input[index] = result
            made.append(copy)
        self.nodes += reversed(made)

    def _slice(self, source: str, result: str, axis: int, low: int, high: int) -> None:
        if self.opset < 10:
            self.node("Slice", [source], result, name=result, axes=[axis], starts=[low], ends=[high])
            return
        operands = [
            self.constant(np.array([value], dtype=np.int64), f"{result}, {what}")
            for what, value in (("start", low), ("end", high), ("axis", axis))
        ]
        self.node("Slice", [source, *operands], result, name=result)

    def _pad(self, source: str, result: str, axis: int, before: int, after: int) -> str:
        rank = len(self.shapes[source])
        pads = [0] * (2 * rank)
        pads[axis], pads[axis + rank] = before, after
        if self.opset < 11:
            return self.node("Pad", [source], result, name=result, pads=pads)
        widths = self.constant(np.array(pads, dtype=np.int64), f"{result}, pads")
        return self.node("Pad", [source, widths], result, name=result)


def _last(values: Array, low: int, high: int) -> Array:
    """The range of the last axis; all of a number that serves every element."""
    return values if values.ndim == 0 or values.shape[-1] == 1 else values[..., low:high]

"""Take the quantisers out of a QDQ or QONNX model: a float model stays, and the formats and steps to keep."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from ...fixed_point import FixedPoint
from ...operator import Array
from ..rewriter import Rewriter, attributes_of, error
from . import onnx_quantiser, qonnx
from .grid import MOST_BITS, Grid


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of a constant: one number, or one for each index of an axis."""

    values: Array
    axis: int | None


@dataclass(frozen=True, eq=False)
class Stripped:
    """What quantisers said: formats of tensors, and steps of constants, by name."""

    formats: dict[str, FixedPoint]
    steps: dict[str, Steps]


def strip(model: onnx.ModelProto) -> Stripped:
    """Take quantisers out in place; nodes are in topological order.

    A tensor, its integers and what they are dequantised to become one tensor, if nothing else reads what it was before
    rounding; else a Clip without bounds stands for the rounding. It has the name of the dequantised tensor, unless it
    is an input or output of the graph.

    Raises:
        IntarsiaError: a quantiser is one that hardware cannot do.
    """
    stripping = _Stripping(Rewriter(model), model)
    for node in model.graph.node:
        stripping.take(node)
    return stripping.finish()


@dataclass
class _Stripping:
    """Walks over the nodes; `joined` leads from a tensor to the one that it is the same as."""

    rewriter: Rewriter
    model: onnx.ModelProto
    joined: dict[str, str] = field(default_factory=dict)
    formats: dict[str, FixedPoint] = field(default_factory=dict)
    steps: dict[str, Steps] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    readers: dict[str, list[NodeProto]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.inputs = {value.name for value in graph.input}
        self.outputs = {value.name for value in graph.output}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def take(self, node: NodeProto) -> None:
        """One node."""
        self.rewriter.begin(node)
        constant = bool(node.input) and node.input[0] in self.rewriter.constants
        if qonnx.is_quantiser(node):
            grid = qonnx.grid_of(self.rewriter, node)
            if constant:
                self._constant(node, grid, grid.raw(self.rewriter.constants[node.input[0]]))
            else:
                self._round(node, grid.format(node))
                self._title(node)
        elif node.op_type == "QuantizeLinear":
            self._quantise(node, constant)
        elif node.op_type == "DequantizeLinear":
            self._dequantise(node, constant)
        elif node.op_type == "Transpose" and constant and node.input[0] in self.steps:
            self._transpose(node)
        else:
            if node.input and node.output and node.op_type != "Cast" and node.input[0] in self.types:
                self.types[node.output[0]] = self.types[node.input[0]]
            self.rewriter.nodes.append(node)

    def finish(self) -> Stripped:
        """Give every tensor its one name."""
        names = {root: self.titles.get(root, root) for root in {*self.joined.values(), *self.formats}}

        def name(tensor: str) -> str:
            root = self._root(tensor)
            return names.get(root, root)

        for node in self.rewriter.nodes:
            node.input[:] = [name(tensor) for tensor in node.input]
            node.output[:] = [name(tensor) for tensor in node.output]
        for output in self.outputs:
            if name(output) != output:
                self.rewriter.node("Identity", [name(output)], output)
        self.rewriter.finish()
        return Stripped({name(root): number for root, number in self.formats.items()}, self.steps)

    def _quantise(self, node: NodeProto, constant: bool) -> None:
        attributes = attributes_of(node)
        elements = attributes.get("output_dtype", 0) or TensorProto.UINT8
        if len(node.input) > 2 and node.input[2]:
            elements = onnx_quantiser.element_type(self.rewriter.value(node, 2))
        self.types[node.output[0]] = elements
        if not constant:
            self._round(node, onnx_quantiser.grid_of(self.rewriter, node, elements, None).format(node))
            return
        values = self.rewriter.constants[node.input[0]]
        grid = onnx_quantiser.grid_of(self.rewriter, node, elements, values.ndim)
        self.rewriter.constants[node.output[0]] = np.asarray(grid.raw(values) + grid.zero)

    def _dequantise(self, node: NodeProto, constant: bool) -> None:
        elements = self._type(node, constant)
        if constant:
            raw = np.asarray(self.rewriter.constants[node.input[0]], dtype=np.float64)
            grid = onnx_quantiser.grid_of(self.rewriter, node, elements, raw.ndim)
            self._constant(node, grid, raw - grid.zero)
            return
        number = onnx_quantiser.grid_of(self.rewriter, node, elements, None).format(node)
        root = self._root(node.input[0])
        if self.formats.setdefault(root, number) != number:
            raise error(
                node, f"it reads {node.input[0]!r} by {number}, which was quantised by {self.formats[root]}"
            )
        self.joined[node.output[0]] = root
        self._title(node)

    def _round(self, node: NodeProto, number: FixedPoint) -> None:
        """Join the result with its source, or let a Clip without bounds stand for the rounding."""
        source, result = node.input[0], node.output[0]
        root = self._root(source)
        known = self.formats.get(root)
        alone = known is None and source not in self.outputs and self._same_readers(source, node)
        if known == number or alone:
            self.joined[result] = root
            self.formats[root] = number
            return
        self.rewriter.node("Clip", [source], result)
        self.formats[result] = number

    def _same_readers(self, tensor: str, node: NodeProto) -> bool:
        """True if all readers of a tensor quantise it in the same way."""
        return all(
            (reader.op_type, reader.domain, list(reader.input[1:]))
            == (node.op_type, node.domain, list(node.input[1:]))
            for reader in self.readers[tensor]
        )

    def _title(self, node: NodeProto) -> None:
        """Name of a tensor: that of the graph's input or output, else of the first node that dequantises."""
        root, result = self._root(node.output[0]), node.output[0]
        if root not in self.inputs and (
            root not in self.titles or result in self.outputs - {self.titles[root]}
        ):
            self.titles[root] = result

    def _constant(self, node: NodeProto, grid: Grid, raw: Array) -> None:
        """Real values of constant integers, less their zero points."""
        name = node.output[0]
        real = (raw * grid.scale).astype(np.float32)
        self.rewriter.graph.initializer.append(onnx.numpy_helper.from_array(real, name))
        self.rewriter.constants[name] = real
        if grid.bits > MOST_BITS:
            return
        axes = [axis for axis, size in enumerate(grid.scale.shape) if size > 1]
        if len(axes) > 1:
            raise error(node, f"its scales have shape {grid.scale.shape}. Supported: one, or one per channel")
        axis = axes[0] + real.ndim - grid.scale.ndim if axes else None
        self.steps[name] = Steps(grid.scale.astype(np.float64).reshape(-1), axis)

    def _transpose(self, node: NodeProto) -> None:
        """A transposed constant keeps its steps."""
        values, steps = self.rewriter.constants[node.input[0]], self.steps[node.input[0]]
        perm = attributes_of(node).get("perm", list(range(values.ndim))[::-1])
        moved = np.ascontiguousarray(values.transpose(perm))
        self.rewriter.graph.initializer.append(onnx.numpy_helper.from_array(moved, node.output[0]))
        self.rewriter.constants[node.output[0]] = moved
        axis = None if steps.axis is None else list(perm).index(steps.axis)
        self.steps[node.output[0]] = Steps(steps.values, axis)

    def _type(self, node: NodeProto, constant: bool) -> int:
        """Type of the integers that a DequantizeLinear reads."""
        if len(node.input) > 2 and node.input[2]:
            return onnx_quantiser.element_type(self.rewriter.value(node, 2))
        if constant:
            found = self.types.get(node.input[0])
            return found or onnx_quantiser.element_type(self.rewriter.constants[node.input[0]])
        if node.input[0] not in self.types:
            raise error(node, f"its input {node.input[0]!r} is made by no QuantizeLinear")
        return self.types[node.input[0]]

    def _root(self, tensor: str) -> str:
        return self.joined.get(tensor, tensor)

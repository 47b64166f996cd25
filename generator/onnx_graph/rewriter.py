"""A model whose nodes are replaced one by one."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..errors import IntarsiaError
from ..operator import Array
from . import onnx_checks
from .constant_folding import shapes_of
from .node_builder import NodeBuilder


class Rewriter(NodeBuilder):
    """Builds the new list of nodes of a model, and adds constants to it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Works on the model in place; `finish` puts the new nodes and constants into it."""
        self.graph = model.graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        super().__init__(names_of(model.graph))

    def begin(self, node: NodeProto) -> None:
        """Name what follows after a node."""
        self.prefix = node.name or node.output[0]

    def constant(self, values: Array, wish: str) -> str:
        """Add a constant; returns its name."""
        name = super().constant(values, wish)
        self.constants[name] = values
        return name

    def keep(self, node: NodeProto) -> None:
        """The node as it is."""
        self.nodes.append(NodeProto.FromString(node.SerializeToString()))

    def value(self, node: NodeProto, index: int, default: Array | None = None) -> Array:
        """A constant operand of a node.

        Raises:
            IntarsiaError: it is computed, or left out without a default.
        """
        name = node.input[index] if index < len(node.input) else ""
        if not name and default is not None:
            return default
        if name not in self.constants:
            raise error(node, f"input {index}, {name!r}, is computed. Supported: a constant (an initializer)")
        return self.constants[name]

    def finish(self) -> None:
        """Put the nodes and constants into the model."""
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.initializers)


class ShapedRewriter(Rewriter):
    """Knows the opset of its model, and the shapes of the model's tensors that are fixed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Works on the model in place; `finish` puts the new nodes and constants into it."""
        super().__init__(model)
        self.opset = onnx_checks.opset(model)
        self.shapes = shapes_of(model.graph)


def names_of(graph: onnx.GraphProto) -> set[str]:
    """All names of nodes and tensors."""
    names = {name for node in graph.node for name in (*node.input, *node.output, node.name)}
    return names | {value.name for value in (*graph.input, *graph.output, *graph.initializer)}


def error(node: NodeProto, problem: str) -> IntarsiaError:
    """The problem, with where it is."""
    return IntarsiaError(f"{node.op_type} node {node.name or ', '.join(node.output)!r}: {problem}")


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def is_integer(elements: int) -> bool:
    """True for the types that quantised tensors have."""
    return elements in (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16)

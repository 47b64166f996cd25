"""A model whose nodes are replaced one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ...errors import IntarsiaError
from ...operator import Array


class Rewriter:
    """Builds the new list of nodes of a model, and adds constants to it; local to one step of unpacking."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Works on the model in place; `finish` puts the new nodes into it."""
        self.graph = model.graph
        self.nodes: list[NodeProto] = []
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self._taken = {name for node in model.graph.node for name in (*node.input, *node.output, node.name)}
        self._taken |= {value.name for value in (*model.graph.input, *model.graph.output)} | set(
            self.constants
        )
        self._prefix = ""

    def begin(self, node: NodeProto) -> None:
        """Name what follows after a node."""
        self._prefix = node.name or node.output[0]

    def node(self, op_type: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        name = self.unique(f"{self._prefix}/{op_type}")
        output = output or self.unique(f"{name}_output")
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name, **attributes))
        return output

    def constant(self, values: Array, wish: str) -> str:
        """Add a constant; returns its name."""
        name = self.unique(wish)
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        self.constants[name] = values
        return name

    def number(self, value: float, name: str) -> str:
        """Add a float constant; returns its name."""
        return self.constant(np.array(value, np.float32), f"{self._prefix}/{name}")

    def unique(self, wish: str) -> str:
        """The wished name, or a free one like it."""
        name, number = wish, 1
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name

    def value(self, node: NodeProto, index: int, default: Array | None = None) -> Array:
        """A constant operand of a node.

        Raises:
            IntarsiaError: it is computed, or left out without a default.
        """
        name = node.input[index] if index < len(node.input) else ""
        if not name and default is not None:
            return default
        if name not in self.constants:
            raise error(
                node, f"input {index}, {name!r}, is not constant. Supported: constant scales and zero points"
            )
        return self.constants[name]

    def finish(self) -> None:
        """Put the nodes into the model."""
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)


def error(node: NodeProto, problem: str) -> IntarsiaError:
    """The problem, with where it is."""
    return IntarsiaError(f"{node.op_type} node {node.name or ', '.join(node.output)!r}: {problem}")


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def is_integer(elements: int) -> bool:
    """True for the types that quantised tensors have."""
    return elements in (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16)

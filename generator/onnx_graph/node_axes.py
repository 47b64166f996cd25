"""Axes, sizes and shapes that the nodes of a model name, whatever the opset. For sample_axis.py and batch_axis.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from ..errors import IntarsiaError
from ..operator import Array
from . import onnx_checks
from .constant_folding import shapes_of
from .rewriter import attributes_of, error

Shape = tuple[int, ...]

BROADCASTING = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Pow", "PRelu", "Where")
WITH_AXIS = ("Softmax", "LogSoftmax", "Concat", "Split", "Gather", "LayerNormalization", "RMSNormalization")
REDUCING = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class NodeAxes:
    """What is known of a model: shapes of all tensors, values of the constant ones, and what its nodes mean by them."""

    shapes: dict[str, Shape]
    constants: dict[str, Array]
    opset: int

    @classmethod
    def of(cls, model: onnx.ModelProto) -> NodeAxes:
        """Of a model whose shapes are inferred."""
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        return cls(shapes_of(model.graph), constants, onnx_checks.opset(model))

    def computed(self, node: NodeProto) -> list[str]:
        """Operands that are no constants."""
        return [name for name in node.input if name and name not in self.constants]

    def shape(self, name: str) -> Shape:
        """Of a tensor.

        Raises:
            IntarsiaError: it is not known.
        """
        if name not in self.shapes:
            raise IntarsiaError(
                f"the shape of {name!r} depends on the input's values. Supported: fixed shapes"
            )
        return self.shapes[name]

    def integers(self, node: NodeProto, attribute: str, index: int) -> list[int] | None:
        """An attribute, or the constant operand that took its place; None if there is neither."""
        given = attributes_of(node).get(attribute)
        if given is None and len(node.input) > index and node.input[index]:
            name = node.input[index]
            if name not in self.constants:
                raise error(node, f"its {attribute}, {name!r}, are computed. Supported: constants")
            given = self.constants[name]
        return None if given is None else [int(value) for value in np.ravel(given)]

    def axes(self, node: NodeProto) -> list[int]:
        """Axes, from 0 on, that a node names or means."""
        rank = len(self.shape(node.input[0]))
        given = self.integers(node, "axes", {"Slice": 3, "Pad": 3}.get(node.op_type, 1))
        if given is not None and (given or node.op_type not in REDUCING):
            return [axis % rank for axis in given]
        if node.op_type in REDUCING and attributes_of(node).get("noop_with_empty_axes", 0):
            return []
        if node.op_type == "Slice":
            return list(range(len(self.integers(node, "starts", 1) or [])))
        return list(range(rank))

    def perm(self, node: NodeProto) -> list[int]:
        """The order of axes that a Transpose makes."""
        return list(attributes_of(node).get("perm", range(len(self.shape(node.input[0])))[::-1]))

    def axis(self, node: NodeProto) -> int:
        """The one axis, from 0 on, that a node works along."""
        default = {"Concat": 0, "Split": 0, "Gather": 0}.get(node.op_type, -1)
        if node.op_type in ("Softmax", "LogSoftmax") and self.opset < 13:
            default = 1
        return int(attributes_of(node).get("axis", default)) % len(self.shape(node.input[0]))

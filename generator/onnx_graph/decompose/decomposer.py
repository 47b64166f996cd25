"""What decompositions need: nodes of the common kinds, whatever the opset, and shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto

from ...errors import IntarsiaError
from ...operator import Array
from ..rewriter import ShapedRewriter, error

Shape = Sequence[int]
_AXES_ARE_INPUTS = 18
"""Opset since which the axes of ReduceMean are an input."""


class Decomposer(ShapedRewriter):
    """Replaces the nodes of one model; all methods append a node and return the name of its result."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Works on the model in place; `finish` puts the new nodes into it."""
        super().__init__(model)
        self.outputs = {value.name for value in model.graph.output}

    def shape(self, node: NodeProto, name: str) -> tuple[int, ...]:
        """Shape of an operand or result of a node.

        Raises:
            IntarsiaError: it is not known.
        """
        if name not in self.shapes:
            raise error(
                node, f"the shape of {name!r} is not fixed. Supported: fixed shapes. Export with fixed sizes"
            )
        return self.shapes[name]

    def integers(self, values: Shape, what: str) -> str:
        """A constant of integers."""
        return self.constant(np.array(values, np.int64), f"{self.prefix}/{what}")

    def floats(self, values: Array, what: str) -> str:
        """A constant of real numbers."""
        return self.constant(np.asarray(values, np.float32), f"{self.prefix}/{what}")

    def reshape(self, x: str, shape: Shape, output: str = "") -> str:
        """The same values in another shape."""
        return self.node("Reshape", [x, self.integers(shape, "shape")], output)

    def transpose(self, x: str, perm: Shape, output: str = "") -> str:
        """The axes in another order."""
        return self.node("Transpose", [x], output, perm=list(perm))

    def slice(
        self, x: str, axes: Shape, lows: Shape, highs: Shape, output: str = "", steps: Shape | None = None
    ) -> str:
        """Ranges of some axes."""
        if self.opset < 10:
            if steps is not None:
                raise IntarsiaError(
                    "slices with steps need opset 10. Export the model with opset 13 or later"
                )
            return self.node("Slice", [x], output, axes=list(axes), starts=list(lows), ends=list(highs))
        given = [("starts", lows), ("ends", highs), ("axes", axes)]
        if steps is not None:
            given.append(("steps", steps))
        return self.node("Slice", [x, *(self.integers(values, what) for what, values in given)], output)

    def mean_of_last(self, x: str, rank: int) -> str:
        """The mean along the last axis, which stays."""
        if self.opset < _AXES_ARE_INPUTS:
            return self.node("ReduceMean", [x], axes=[rank - 1], keepdims=1)
        return self.node("ReduceMean", [x, self.integers([rank - 1], "axes")], keepdims=1)

    def weights(self, node: NodeProto, index: int, default: Array | None = None) -> Array:
        """A constant operand as float64.

        Raises:
            IntarsiaError: it is computed, or left out without a default.
        """
        return np.asarray(self.value(node, index, default), np.float64)

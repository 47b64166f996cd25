"""Nodes and constants of an ONNX graph, under names that are free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..operator import Array


class NodeBuilder:
    """Collects nodes, and the constants that they need; named after what is begun.

    Attributes:
        nodes: in the order in which they were made.
        initializers: the constants.
    """

    def __init__(self, taken: Iterable[str], prefix: str = "") -> None:
        """Names that are taken already, and what the first ones begin with."""
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.prefix = prefix
        self._taken = set(taken)

    def node(
        self,
        op_type: str,
        inputs: Sequence[str],
        output: str = "",
        *,
        of: str = "",
        name: str = "",
        **attributes: Any,
    ) -> str:
        """Append a node; returns the name of its output.

        It is named `name`, which the caller knows to be free, or else after what was begun, or after `of`.
        """
        name = name or self.unique(f"{of or self.prefix}/{op_type}")
        output = output or self.unique(f"{name}_output")
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name, **attributes))
        return output

    def constant(self, values: Array, wish: str) -> str:
        """Add a constant, named as wished if that name is free; returns its name."""
        name = self.unique(wish)
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def number(self, value: float, name: str) -> str:
        """Add a float constant; returns its name."""
        return self.constant(np.array(value, np.float32), f"{self.prefix}/{name}")

    def unique(self, wish: str) -> str:
        """The wished name, or a free one like it."""
        name, number = wish, 1
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name

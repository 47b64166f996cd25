"""Layer normalisation as exporters decompose it, taken as one node; also by the root mean square, and without gamma or beta.

    d = x - ReduceMean(x)                       (d = x for the root mean square)
    z = d / Sqrt(ReduceMean(d * d) + epsilon)   or d * Reciprocal(..), d * (1 / ..), with Pow(d, 2) for d * d
    y = z * gamma + beta

The model itself stays as it is, as the float reference; only the list of nodes that become tasks is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from ..operator import Array
from .constant_folding import shapes_of

_Fused = tuple[NodeProto, tuple[NodeProto, ...]]


def fuse_norms(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Array],
    shapes: Mapping[str, tuple[int, ...]],
    outputs: Sequence[str],
) -> tuple[list[NodeProto], dict[str, tuple[str, ...]]]:
    """The nodes with one in place of each decomposed normalisation.

    Args:
        nodes: in topological order.
        constants: initializers by name.
        shapes: of all tensors.
        outputs: tensors that are needed for themselves.

    Returns:
        The nodes, and for each new one, by its output, the names of those that it stands for.
    """
    graph = _Nodes(nodes, constants, shapes, outputs)
    fused = [found for node in nodes if node.op_type == "Sqrt" and (found := graph.norm(node))]
    last = {id(members[-1]): norm for norm, members in fused}
    gone = {id(member) for _, members in fused for member in members}
    kept = [last.get(id(node), node) for node in nodes if id(node) in last or id(node) not in gone]
    return kept, {norm.output[0]: tuple(one.name for one in members) for norm, members in fused}


def norm_members(graph: onnx.GraphProto) -> frozenset[str]:
    """Names of the nodes that `fuse_norms` will take together."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    outputs = [value.name for value in graph.output]
    _, members = fuse_norms(graph.node, constants, shapes_of(graph), outputs)
    return frozenset(name for names in members.values() for name in names)


@dataclass
class _Nodes:
    nodes: Sequence[NodeProto]
    constants: Mapping[str, Array]
    shapes: Mapping[str, tuple[int, ...]]
    outputs: Sequence[str]

    def __post_init__(self) -> None:
        self.maker = {node.output[0]: node for node in self.nodes if node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)

    def norm(self, root: NodeProto) -> _Fused | None:
        """The normalisation around a Sqrt; None if it is something else."""
        epsilon = self._with_constant(root.input[0], "Add")
        mean = self._mean(epsilon[0]) if epsilon else None
        square = self._square(mean.input[0]) if mean else None
        if epsilon is None or mean is None or square is None or epsilon[1].size != 1:
            return None
        before, centred = [square[0], mean, epsilon[2], root], square[1]
        source, centring = self._centred(centred)
        quotient = self._quotient(root, centred, source, centring)
        if quotient is None:
            return None
        members = [*centring, *before, *quotient]
        gamma = self._affine(members[-1], "Mul", source)
        members += [gamma[1]] if gamma else []
        beta = self._affine(members[-1], "Add", source)
        members += [beta[1]] if beta else []
        members = list({id(member): member for member in members}.values())
        if not self._closed(members):
            return None
        norm = onnx.helper.make_node(
            "LayerNormalization" if centring else "RMSNormalization",
            [source, gamma[0] if gamma else "", beta[0] if beta else ""],
            [members[-1].output[0]],
            members[-1].name,
            epsilon=float(epsilon[1].reshape(())),
        )
        return norm, tuple(members)

    def _with_constant(self, name: str, op_type: str) -> tuple[str, Array, NodeProto] | None:
        """The computed and the constant operand of the node that makes a tensor."""
        node = self.maker.get(name)
        if node is None or node.op_type != op_type:
            return None
        for one, other in (node.input, reversed(node.input)):
            if other in self.constants:
                return one, self.constants[other], node
        return None

    def _mean(self, name: str) -> NodeProto | None:
        """The ReduceMean along the last axis that makes a tensor."""
        node = self.maker.get(name)
        if node is None or node.op_type != "ReduceMean":
            return None
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        axes = attributes.get("axes", ())
        if len(node.input) > 1:
            axes = (
                self.constants[node.input[1]].reshape(-1).tolist() if node.input[1] in self.constants else ()
            )
        rank = len(self.shapes.get(node.input[0], ()))
        last = rank > 0 and [axis % rank for axis in axes] == [rank - 1]
        return node if last and attributes.get("keepdims", 1) else None

    def _square(self, name: str) -> tuple[NodeProto, str] | None:
        """The node that makes a tensor as the square of another, and that one."""
        node = self.maker.get(name)
        if node is None:
            return None
        if node.op_type == "Mul" and node.input[0] == node.input[1]:
            return node, node.input[0]
        exponent = self.constants.get(node.input[1]) if node.op_type == "Pow" else None
        return (node, node.input[0]) if exponent is not None and np.all(exponent == 2) else None

    def _centred(self, name: str) -> tuple[str, list[NodeProto]]:
        """A tensor whose mean is taken off to make `name`, and the nodes that do so; none for the tensor itself."""
        node = self.maker.get(name)
        if node is not None and node.op_type == "Sub":
            mean = self._mean(node.input[1])
            if mean is not None and mean.input[0] == node.input[0]:
                return node.input[0], [mean, node]
        return name, []

    def _quotient(
        self, root: NodeProto, centred: str, source: str, centring: Sequence[NodeProto]
    ) -> list[NodeProto] | None:
        """The nodes that divide the centred tensor, or another made in the same way, by the root."""

        def same(name: str) -> list[NodeProto] | None:
            if name == centred:
                return []
            origin, again = self._centred(name)
            return again if centring and again and origin == source else None

        divide = self._only_reader(root.output[0])
        if divide is None:
            return None
        if divide.op_type == "Div" and divide.input[1] == root.output[0]:
            if divide.input[0] not in self.constants:
                found = same(divide.input[0])
                return None if found is None else [*found, divide]
            inverts = bool(np.all(self.constants[divide.input[0]] == 1))
        else:
            inverts = divide.op_type == "Reciprocal"
        product = self._only_reader(divide.output[0]) if inverts else None
        if product is None or product.op_type != "Mul":
            return None
        factors = [name for name in product.input if name != divide.output[0]]
        found = same(factors[0]) if len(factors) == 1 else None
        return None if found is None else [divide, *found, product]

    def _affine(self, node: NodeProto, op_type: str, source: str) -> tuple[str, NodeProto] | None:
        """A constant for each channel that a node's result is multiplied by, or that is added, and the node that does."""
        reader = self._only_reader(node.output[0])
        if reader is None or reader.op_type != op_type or node.output[0] in self.outputs:
            return None
        channels = self.shapes[source][-1]
        for name in reader.input:
            shape = self.constants[name].shape if name in self.constants else None
            if (
                shape is not None
                and (shape or (1,))[-1] == np.prod(shape)
                and np.prod(shape) in (1, channels)
            ):
                return name, reader
        return None

    def _only_reader(self, name: str) -> NodeProto | None:
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 else None

    def _closed(self, members: Sequence[NodeProto]) -> bool:
        """True if only the last member's result is needed elsewhere."""
        inside = {id(member) for member in members}
        return all(
            member.output[0] not in self.outputs
            and all(id(reader) in inside for reader in self.readers.get(member.output[0], []))
            for member in members[:-1]
        )

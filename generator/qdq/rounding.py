"""Rounding modes as ONNX nodes; QuantizeLinear itself knows but one."""

from __future__ import annotations

from ..arithmetic.rounding import Rounding
from ..onnx_graph.node_builder import NodeBuilder


def round_nodes(nodes: NodeBuilder, x: str, rounding: Rounding) -> str:
    """Append the nodes that make whole numbers of a tensor; returns the result's name."""
    match rounding:
        case Rounding.HALF_EVEN:
            return nodes.node("Round", [x])
        case Rounding.HALF_ODD:
            one = nodes.number(1, "one")
            return nodes.node("Sub", [nodes.node("Round", [nodes.node("Add", [x, one])]), one])
        case Rounding.FLOOR:
            return nodes.node("Floor", [x])
        case Rounding.CEIL:
            return nodes.node("Ceil", [x])
        case Rounding.SIGN:
            negative = nodes.node("Less", [x, nodes.number(0, "zero")])
            return nodes.node("Where", [negative, nodes.number(-1, "below"), nodes.number(1, "above")])
    return nodes.node("Mul", [nodes.node("Sign", [x]), _size(nodes, nodes.node("Abs", [x]), rounding)])


def _size(nodes: NodeBuilder, size: str, rounding: Rounding) -> str:
    """A size of 0 or more as a whole number, for modes that treat both signs alike."""
    match rounding:
        case Rounding.DOWN:
            return nodes.node("Floor", [size])
        case Rounding.UP:
            return nodes.node("Ceil", [size])
        case Rounding.HALF_UP:
            return nodes.node("Floor", [nodes.node("Add", [size, nodes.number(0.5, "half")])])
        case _:
            return nodes.node("Ceil", [nodes.node("Sub", [size, nodes.number(0.5, "half")])])

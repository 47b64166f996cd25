"""Inputs and outputs of a model that are integers: made float, with QuantizeLinear and DequantizeLinear behind them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from ...operator import Array
from ..rewriter import Rewriter, is_integer
from . import qoperators

Numbers = tuple[Array, Array]
"""Scale and zero point."""

_FIRST_IS_SCALE = ("DequantizeLinear", "QuantizeLinear")


def float_inputs(rewriter: Rewriter, nodes: list[NodeProto]) -> dict[str, tuple[float, int]]:
    """Make integer inputs float, with a QuantizeLinear behind each; returns their scales and zero points.

    Inputs of which no node tells a scale stay as they are.
    """
    found: dict[str, tuple[float, int]] = {}
    for value in rewriter.graph.input:
        elements = value.type.tensor_type.elem_type
        numbers = _numbers_of_readers(rewriter, nodes, value.name) if is_integer(elements) else None
        if numbers is None:
            continue
        scale, zero = (np.asarray(number) for number in numbers)
        if scale.size != 1 or zero.size != 1:
            continue
        raw = rewriter.unique(f"{value.name}_quantised")
        for node in nodes:
            node.input[:] = [raw if name == value.name else name for name in node.input]
        kind = helper.tensor_dtype_to_np_dtype(elements)
        operands = [
            value.name,
            rewriter.constant(scale.astype(np.float32).reshape(()), f"{value.name}_scale"),
            rewriter.constant(zero.astype(kind).reshape(()), f"{value.name}_zero_point"),
        ]
        rewriter.node("QuantizeLinear", operands, raw)
        value.type.tensor_type.elem_type = TensorProto.FLOAT
        found[value.name] = (float(scale.astype(np.float32).flat[0]), int(zero.flat[0]))
    return found


def float_outputs(rewriter: Rewriter) -> None:
    """Make integer outputs float, with a DequantizeLinear before each, where their scale is known."""
    producers = {node.output[0]: node for node in rewriter.nodes if node.output}
    for value in rewriter.graph.output:
        operands = _numbers_of_maker(producers, value)
        if not is_integer(value.type.tensor_type.elem_type) or operands is None:
            continue
        raw = rewriter.unique(f"{value.name}_quantised")
        for node in rewriter.nodes:
            node.input[:] = [raw if name == value.name else name for name in node.input]
            node.output[:] = [raw if name == value.name else name for name in node.output]
        rewriter.node("DequantizeLinear", [raw, *operands], value.name)
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def _numbers_of_readers(rewriter: Rewriter, nodes: Iterable[NodeProto], tensor: str) -> Numbers | None:
    """Scale and zero point by which an integer tensor, or what is made of it without new values, is read."""
    same = {tensor}
    for node in nodes:
        for index, name in enumerate(node.input):
            if name not in same:
                continue
            if node.op_type in ("ConvInteger", "MatMulInteger"):
                return np.ones(()), rewriter.value(node, index + 2, np.zeros(()))
            if node.op_type in (*_FIRST_IS_SCALE, *qoperators.OPERATORS):
                return rewriter.value(node, index + 1), rewriter.value(node, index + 2, np.zeros(()))
            same.add(node.output[0])
    return None


def _numbers_of_maker(producers: dict[str, NodeProto], value: ValueInfoProto) -> list[str] | None:
    """Names of scale and zero point by which an integer tensor was made."""
    node = producers.get(value.name)
    while node is not None and node.op_type != "QuantizeLinear":
        node = producers.get(node.input[0]) if node.input else None
    return None if node is None else [name for name in node.input[1:3] if name]

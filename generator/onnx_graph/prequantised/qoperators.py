"""Operators on integers (QLinearConv, QLinearMatMul, ConvInteger, ...) as float operators between Q and DQ.

ONNX defines each of them as dequantise, compute, quantise; so that is what is written instead. ConvInteger and
MatMulInteger give the products of integers as they are: their weights get the reciprocal of the input's scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import NodeProto

from ..rewriter import Rewriter, attributes_of, error

Expand = Callable[[Rewriter, NodeProto, dict[str, float]], None]


def expand(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> bool:
    """Append what stands for a node, if it is such an operator.

    Args:
        rewriter: takes the nodes.
        node: the node.
        scales: known scales of integer tensors.
    """
    rule = _RULES.get(node.op_type)
    if rule is None:
        return False
    rewriter.begin(node)
    rule(rewriter, node, scales)
    return True


def _dequantised(rewriter: Rewriter, node: NodeProto, first: int, axis: int | None = None) -> str:
    """Operand, scale and zero point at `first` as a float tensor."""
    tensor, scale, *zero = (node.input[index] for index in range(first, min(first + 3, len(node.input))))
    per_axis = axis is not None and rewriter.value(node, first + 1).size > 1
    return _dequantise(rewriter, tensor, scale, zero[0] if zero else "", axis if per_axis else None)


def _dequantise(rewriter: Rewriter, tensor: str, scale: str, zero: str, axis: int | None) -> str:
    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    operands = [tensor, scale, *filter(None, [zero])]
    return rewriter.node("DequantizeLinear", operands, **attributes)


def _quantise(rewriter: Rewriter, node: NodeProto, real: str, first: int) -> None:
    zero = node.input[first + 1] if first + 1 < len(node.input) else ""
    rewriter.node("QuantizeLinear", [real, node.input[first], *filter(None, [zero])], node.output[0])


def _bias(rewriter: Rewriter, node: NodeProto, index: int, weight_scale: int) -> list[str]:
    """A bias in units of input times weight."""
    if len(node.input) <= index or not node.input[index]:
        return []
    raw = rewriter.value(node, index)
    scale = rewriter.value(node, 1) * rewriter.value(node, weight_scale)
    real = np.asarray(raw, np.float64) * np.asarray(scale, np.float64).reshape(-1)
    return [rewriter.constant(real.astype(np.float32), f"{node.output[0]}/bias")]


def _conv(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> None:
    operands = [
        _dequantised(rewriter, node, 0),
        _dequantised(rewriter, node, 3, 0),
        *_bias(rewriter, node, 8, 4),
    ]
    _quantise(rewriter, node, rewriter.node("Conv", operands, **attributes_of(node)), 6)


def _matmul(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> None:
    operands = [_dequantised(rewriter, node, 0), _dequantised(rewriter, node, 3, 1)]
    _quantise(rewriter, node, rewriter.node("MatMul", operands), 6)


def _gemm(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> None:
    attributes = attributes_of(node)
    axis = 0 if attributes.get("transB", 0) else 1
    bias = _bias(rewriter, node, 6, 4)
    operands = [_dequantised(rewriter, node, 0), _dequantised(rewriter, node, 3, axis), *bias]
    real = rewriter.node("Gemm", operands, **attributes)
    if len(node.input) < 8 or not node.input[7]:
        raise error(node, "its output is float. Supported: with y_scale and y_zero_point")
    _quantise(rewriter, node, real, 7)


def _two_operands(op_type: str) -> Expand:
    def rule(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> None:
        operands = [_dequantised(rewriter, node, 0), _dequantised(rewriter, node, 3)]
        _quantise(rewriter, node, rewriter.node(op_type, operands), 6)

    return rule


def _one_operand(op_type: str) -> Expand:
    def rule(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> None:
        attributes = attributes_of(node)
        if attributes.pop("channels_last", 0):
            raise error(node, "channels_last is 1. Supported: 0")
        real = rewriter.node(op_type, [_dequantised(rewriter, node, 0)], **attributes)
        _quantise(rewriter, node, real, 3)

    return rule


def _integer(op_type: str) -> Expand:
    """ConvInteger and MatMulInteger: tensors, then zero points."""

    def rule(rewriter: Rewriter, node: NodeProto, scales: dict[str, float]) -> None:
        x, w, *zeros = node.input
        zero_x, zero_w = (*zeros, "", "")[:2]
        if x not in scales:
            raise error(
                node,
                f"the scale of its input {x!r} is not known: it depends on the data, or on no QuantizeLinear. Supported: "
                "static quantisation",
            )
        scale = scales[x]
        x_scale = rewriter.number(scale, "x_scale")
        w_scale = rewriter.number(1 / scale, "w_scale")
        if zero_w and rewriter.value(node, 3).size > 1:
            count = rewriter.value(node, 3).size
            w_scale = rewriter.constant(np.full(count, 1 / scale, np.float32), f"{node.output[0]}/w_scales")
            weight = _dequantise(rewriter, w, w_scale, zero_w, 0 if op_type == "Conv" else 1)
        else:
            weight = _dequantise(rewriter, w, w_scale, zero_w, None)
        operands = [_dequantise(rewriter, x, x_scale, zero_x, None), weight]
        rewriter.node(op_type, operands, node.output[0], **attributes_of(node))

    return rule


_RULES: dict[str, Expand] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "ConvInteger": _integer("Conv"),
    "MatMulInteger": _integer("MatMul"),
    "QLinearAdd": _two_operands("Add"),
    "QLinearMul": _two_operands("Mul"),
    "QLinearSigmoid": _one_operand("Sigmoid"),
    "QLinearLeakyRelu": _one_operand("LeakyRelu"),
    "QLinearAveragePool": _one_operand("AveragePool"),
    "QLinearGlobalAveragePool": _one_operand("GlobalAveragePool"),
}
OPERATORS = tuple(_RULES)

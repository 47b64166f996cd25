"""QONNX's Quant (IntQuant) and BipolarQuant as grids, and as standard ONNX nodes.

    Quant(x, scale, zero point, bits; signed, narrow, rounding_mode)
        = (round(clip(x / scale + zero point, lowest, highest)) - zero point) * scale
    BipolarQuant(x, scale) = scale if x >= 0 else -scale

As Brevitas, QKeras and FINN's tools write them (https://github.com/fastmachinelearning/qonnx). The lowest integer is
-2**(bits - 1), or one more if narrow, or 0 if not signed.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from ...arithmetic.rounding import Rounding
from ...operator import Array
from ...qdq.rounding import round_nodes
from ..rewriter import Rewriter, attributes_of, error
from .grid import Grid

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
QUANTISERS = ("Quant", "IntQuant", "BipolarQuant")

ROUNDING = {
    "ROUND": Rounding.HALF_EVEN,
    "HALF_EVEN": Rounding.HALF_EVEN,
    "CEIL": Rounding.CEIL,
    "FLOOR": Rounding.FLOOR,
    "UP": Rounding.UP,
    "DOWN": Rounding.DOWN,
    "HALF_UP": Rounding.HALF_UP,
    "HALF_DOWN": Rounding.HALF_DOWN,
}


def is_quantiser(node: NodeProto) -> bool:
    """True for Quant, IntQuant and BipolarQuant."""
    return node.domain in DOMAINS and node.op_type in QUANTISERS


def grid_of(rewriter: Rewriter, node: NodeProto) -> Grid:
    """The grid of a quantiser.

    Raises:
        IntarsiaError: it is not constant, or its attributes are unknown.
    """
    scale = np.asarray(rewriter.value(node, 1), dtype=np.float64)
    if node.op_type == "BipolarQuant":
        return Grid(_single(scale), np.zeros(()), 2, True, True, Rounding.SIGN)
    zero = np.asarray(rewriter.value(node, 2), dtype=np.float64)
    bits = np.asarray(rewriter.value(node, 3), dtype=np.float64)
    attributes = attributes_of(node)
    mode = attributes.get("rounding_mode", b"ROUND").decode().upper()
    if bits.size != 1 or bits.flat[0] != round(bits.flat[0]):
        raise error(node, f"its bit width is {bits.tolist()}. Supported: one whole number")
    if mode not in ROUNDING:
        raise error(node, f"rounding_mode is {mode!r}. Supported: {', '.join(ROUNDING)}")
    return Grid(
        _single(scale),
        _single(zero),
        int(bits.flat[0]),
        bool(attributes.get("signed", 1)),
        bool(attributes.get("narrow", 0)),
        ROUNDING[mode],
        zero_first=True,
    )


def append_standard(rewriter: Rewriter, node: NodeProto) -> None:
    """Append standard nodes that compute what the quantiser does."""
    grid = grid_of(rewriter, node)
    scale = rewriter.constant(grid.scale.astype(np.float32), f"{node.output[0]}/scale")
    if grid.rounding is Rounding.SIGN:
        sign = round_nodes(rewriter, node.input[0], Rounding.SIGN)
        rewriter.node("Mul", [sign, scale], node.output[0])
        return
    zero = rewriter.constant(grid.zero.astype(np.float32), f"{node.output[0]}/zero_point")
    steps = rewriter.node("Add", [rewriter.node("Div", [node.input[0], scale]), zero])
    bounds = [rewriter.number(grid.low, "low"), rewriter.number(grid.high, "high")]
    whole = round_nodes(rewriter, rewriter.node("Clip", [steps, *bounds]), grid.rounding)
    rewriter.node("Mul", [rewriter.node("Sub", [whole, zero]), scale], node.output[0])


def _single(values: Array) -> Array:
    """A lone number without axes."""
    return values.reshape(()) if values.size == 1 else values

"""Attention (opset 23) as products of matrices around a Softmax, for each head.

    Y = Softmax(softcap(Q K' * scale) + mask) V        softcap(s) = c * tanh(s / c)

There is no cache of keys and values, and no mask but that of causality or a tensor that is added. The result qk_matmul_output shows
the products, by `qk_matmul_output_mode` after the softcap, the mask or the Softmax.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from onnx import NodeProto

from ...errors import IntarsiaError
from ..rewriter import attributes_of, error
from .decomposer import Decomposer

_MASK = 3
_CACHES = {4: "past_key", 5: "past_value", 6: "nonpad_kv_seqlen"}
_CACHED = ("present_key", "present_value")
_QK = 3
_PLAIN, _CAPPED, _WITH_MASK, _WEIGHTS = range(4)
"""What qk_matmul_output may show."""

_Shape = tuple[int, ...]


def attention(into: Decomposer, node: NodeProto) -> None:
    """Reshapes to heads, MatMul, Mul, Softmax and MatMul.

    Raises:
        IntarsiaError: the node has a cache, a window or more results than one.
    """
    _check(node)
    attributes = attributes_of(node)
    counts = (attributes.get("q_num_heads"), *[attributes.get("kv_num_heads")] * 2)
    operands = [_heads(into, node, name, count) for name, count in zip(node.input[:3], counts, strict=True)]
    (q, q_shape), (k, k_shape), (v, v_shape) = operands
    if (groups := q_shape[1] // k_shape[1]) > 1:
        k, v = _repeated(into, k, k_shape, groups), _repeated(into, v, v_shape, groups)
    scale = attributes.get("scale") or 1 / sqrt(q_shape[3])
    scores = into.node("MatMul", [q, into.transpose(k, (0, 1, 3, 2))])
    shown = _shown(into, node)
    scores = into.node("Mul", [scores, into.number(scale, "scale")], shown.get(_PLAIN, ""))
    if cap := attributes.get("softcap", 0.0):
        part = into.node("Tanh", [into.node("Mul", [scores, into.number(1 / cap, "inverse_cap")])])
        scores = into.node("Mul", [part, into.number(cap, "cap")], shown.get(_CAPPED, ""))
    scores = _masked(into, node, scores, k_shape[2], shown.get(_WITH_MASK, ""))
    if attributes.get("is_causal", 0):
        seen = into.constant(np.tri(q_shape[2], k_shape[2], dtype=bool), f"{node.name}/causal")
        scores = into.node("Where", [seen, scores, into.number(-np.inf, "masked")])
    weights = into.node("Softmax", [scores], shown.get(_WEIGHTS, ""), axis=-1)
    if len(into.shape(node, node.input[0])) == 4:
        into.node("MatMul", [weights, v], node.output[0])
        return
    mixed = into.transpose(into.node("MatMul", [weights, v]), (0, 2, 1, 3))
    into.reshape(mixed, (q_shape[0], q_shape[2], q_shape[1] * v_shape[3]), node.output[0])


def _heads(into: Decomposer, node: NodeProto, name: str, heads: int | None) -> tuple[str, _Shape]:
    """An operand as (batch, heads, tokens, features), and that shape."""
    shape = into.shape(node, name)
    if len(shape) == 4:
        return name, shape
    if not heads:
        raise error(node, "its operands have three dimensions, but it names no number of heads")
    batch, tokens, features = shape
    rows = into.reshape(name, (batch, tokens, heads, features // heads))
    return into.transpose(rows, (0, 2, 1, 3)), (batch, heads, tokens, features // heads)


def _repeated(into: Decomposer, x: str, shape: _Shape, groups: int) -> str:
    """Every head so many times, one after the other."""
    batch, heads, tokens, features = shape
    single = into.reshape(x, (batch, heads, 1, tokens, features))
    all_groups = into.integers((batch, heads, groups, tokens, features), "groups")
    return into.reshape(into.node("Expand", [single, all_groups]), (batch, heads * groups, tokens, features))


def _shown(into: Decomposer, node: NodeProto) -> dict[int, str]:
    """The name of qk_matmul_output by the first step that gives it; empty if nobody asks for it."""
    if len(node.output) <= _QK or not node.output[_QK]:
        return {}
    attributes = attributes_of(node)
    mode = attributes.get("qk_matmul_output_mode", _PLAIN)
    mask = _mask(node)
    if mode == _WITH_MASK and (attributes.get("is_causal", 0) or _is_boolean(into, mask)):
        raise _unsupported(node, f"its result {node.output[_QK]!r} shows the minus infinity of masked scores")
    if mode == _WITH_MASK and not mask:
        mode = _CAPPED
    if mode == _CAPPED and not attributes.get("softcap", 0.0):
        mode = _PLAIN
    return {mode: node.output[_QK]}


def _mask(node: NodeProto) -> str:
    return str(node.input[_MASK]) if len(node.input) > _MASK else ""


def _is_boolean(into: Decomposer, mask: str) -> bool:
    return mask in into.constants and into.constants[mask].dtype == np.bool_


def _masked(into: Decomposer, node: NodeProto, scores: str, keys: int, result: str) -> str:
    """The scores with the mask operand added, or chosen by it."""
    mask = _mask(node)
    if not mask:
        return scores
    if (columns := into.shape(node, mask)[-1]) != keys:
        raise error(node, f"its mask {mask!r} has {columns} columns. Supported: {keys}, one for each key")
    if _is_boolean(into, mask):
        return into.node("Where", [mask, scores, into.number(-np.inf, "unseen")])
    return into.node("Add", [scores, mask], result)


def _check(node: NodeProto) -> None:
    for index, what in _CACHES.items():
        if len(node.input) > index and node.input[index]:
            raise _unsupported(node, f"it reads a cache of keys and values ({what})")
    for index, what in enumerate(_CACHED, start=1):
        if len(node.output) > index and node.output[index]:
            raise _unsupported(node, f"its result {what}, {node.output[index]!r}, is used")
    attributes = attributes_of(node)
    for side in ("left_window_size", "right_window_size"):
        if attributes.get(side, -1) >= 0:
            raise _unsupported(node, f"{side} is {attributes[side]}")


def _unsupported(node: NodeProto, problem: str) -> IntarsiaError:
    return error(node, f"{problem}. Supported: queries, keys and values of one call, causal or not")

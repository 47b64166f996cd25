"""Name an older operator set where the model needs no newer one: ONNX Runtime lags behind ONNX. Part of normalise.py.

onnx.version_converter is not used: it refuses whole models for one operator without an adapter, and rewrites the others.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper

from . import onnx_checks
from .rewriter import Rewriter, attributes_of

COMMON_OPSET = 17
"""No need to name an older one."""
_SAME_SINCE = {
    ("Cast", 28): 25,
    ("Celu", 28): 12,
    ("DepthToSpace", 28): 13,
    ("DequantizeLinear", 28): 25,
    ("QuantizeLinear", 28): 25,
    ("ReduceLogSum", 28): 18,
    ("ReduceLogSumExp", 28): 18,
    ("SpaceToDepth", 28): 13,
}
"""Versions that only admit further types, and since which version the operator does the same. SpaceToDepth gained a mode too."""


def apply(model: onnx.ModelProto) -> None:
    """The oldest opset, from COMMON_OPSET on, in which every node means what it says; in place."""
    for entry in model.opset_import:
        if entry.domain in onnx_checks.STANDARD_DOMAINS and entry.version > COMMON_OPSET:
            needed = [_needed(node, entry.version) for node in model.graph.node]
            if any(
                "mode" in attributes_of(node) for node in model.graph.node if node.op_type == "SpaceToDepth"
            ):
                _without_modes(model)
            entry.version = max(COMMON_OPSET, *needed)


def _needed(node: NodeProto, opset: int) -> int:
    """The version of a node's operator, or the oldest one that does the same."""
    if not onnx.defs.has(node.op_type, ""):
        return COMMON_OPSET
    since = int(onnx.defs.get_schema(node.op_type, opset, "").since_version)
    return _SAME_SINCE.get((node.op_type, since), since)


def _shape(rewriter: Rewriter, node: NodeProto, sizes: tuple[int, ...]) -> str:
    return rewriter.constant(np.array(sizes, np.int64), f"{node.name}/shape")


def _without_modes(model: onnx.ModelProto) -> None:
    """SpaceToDepth without `mode`, with its channels moved where that is CRD: (block, channel) becomes (channel, block)."""
    rewriter = Rewriter(model)
    for node in model.graph.node:
        copy = NodeProto.FromString(node.SerializeToString())
        if node.op_type != "SpaceToDepth":
            rewriter.nodes.append(copy)
            continue
        attributes = attributes_of(node)
        block = attributes["blocksize"]
        del copy.attribute[:]
        copy.attribute.append(helper.make_attribute("blocksize", block))
        rewriter.nodes.append(copy)
        if attributes.get("mode", b"DCR") != b"CRD":
            continue
        rewriter.begin(node)
        result = copy.output[0] = rewriter.unique(f"{node.name}/blocks_first")
        last = rewriter.node("Transpose", [result], perm=[0, 2, 3, 1])
        split = rewriter.node("Reshape", [last, _shape(rewriter, node, (0, 0, 0, block**2, -1))])
        turned = rewriter.node("Transpose", [split], perm=[0, 1, 2, 4, 3])
        joined = rewriter.node("Reshape", [turned, _shape(rewriter, node, (0, 0, 0, -1))])
        rewriter.node("Transpose", [joined], node.output[0], perm=[0, 3, 1, 2])
    rewriter.finish()

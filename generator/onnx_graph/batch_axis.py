"""Whether axis 0 of a model's inputs counts samples.

It does if every node treats each index of it by itself. Where one does not (it sums along axis 0, moves it, broadcasts over it),
where inputs have different sizes there, or one axis only, it does not.
"""

from __future__ import annotations

import onnx
from onnx import NodeProto

from .node_axes import BROADCASTING, REDUCING, RESHAPING, WITH_AXIS, NodeAxes, Shape
from .rewriter import attributes_of

OF_BATCHES = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "LRN"),
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "DepthToSpace", "SpaceToDepth"),
    *("Upsample", "Attention", "LSTM", "GRU", "RNN"),
)
"""Operators for which ONNX itself says which axis is the batch."""


def has_batch(model: onnx.ModelProto) -> bool:
    """True if axis 0 of all inputs counts samples, as far as can be seen; shapes and constants must be known."""
    sizes = {tuple(d.dim_value for d in value.type.tensor_type.shape.dim[:1]) for value in model.graph.input}
    if len(sizes) > 1 or any(len(value.type.tensor_type.shape.dim) < 2 for value in model.graph.input):
        return False
    known = NodeAxes.of(model)
    return all(_keeps_samples(node, known) for node in model.graph.node)


def of_batches(model: onnx.ModelProto) -> bool:
    """True if a node has a batch by its definition: then there is one, whatever other nodes do to its axis."""
    return any(node.op_type in OF_BATCHES for node in model.graph.node)


def _keeps_samples(node: NodeProto, known: NodeAxes) -> bool:
    """True if index i along axis 0 of the result depends on index i of the operands only."""
    computed = known.computed(node)
    if not computed or any(name not in known.shapes for name in (*computed, *filter(None, node.output))):
        return True  # what it does is refused elsewhere
    result = known.shape(next(filter(None, node.output)))
    first = known.shape(computed[0])
    match node.op_type:
        case kind if kind in BROADCASTING:
            fixed = [known.shape(name) for name in node.input if name and name not in computed]
            return all(
                known.shape(name)[:1] == result[:1] for name in computed if _full(known, name, result)
            ) and (
                all(_full(known, name, result) for name in computed)
                and all(len(shape) < len(result) or shape[0] == 1 for shape in fixed)
            )
        case "Gather" if node.input[0] in known.constants:
            return known.axis(node) == 0
        case kind if kind in WITH_AXIS:
            return known.axis(node) != 0
        case "Trilu":
            return len(result) > 2
        case kind if kind in (*REDUCING, "Slice"):
            return 0 not in known.axes(node)
        case "Transpose":
            return known.perm(node)[0] == 0
        case "Expand":
            target = known.integers(node, "shape", 1) or []
            return result[0] == first[0] and (len(target) < len(result) or target[0] == 1)
        case kind if kind in (*RESHAPING, "Tile", "Pad", "Resize"):
            return len(result) > 0 and result[0] == first[0]
        case "MatMul" | "Gemm":
            return _product_keeps_samples(node, known, computed, len(result))
        case _:
            return True


def _product_keeps_samples(node: NodeProto, known: NodeAxes, computed: list[str], rank: int) -> bool:
    """For a matrix product whose result has `rank` axes: rows of the first operand may be samples, or matrices."""
    first = known.shape(computed[0])
    if node.op_type == "Gemm":
        bias = known.shapes.get(node.input[2], ()) if len(node.input) > 2 else ()
        one_for_all = len(bias) < 2 or bias[0] == 1
        return computed == [node.input[0]] and not attributes_of(node).get("transA", 0) and one_for_all
    if len(computed) == 2:
        second = known.shape(computed[1])
        return len(first) == len(second) > 2 and first[0] == second[0]
    if computed[0] == node.input[0]:
        weights = known.shape(node.input[1])
        return len(first) > 1 and (len(weights) < max(rank, 3) or weights[0] == 1)
    weights = known.shape(node.input[0])
    return len(first) > 2 and (len(weights) < rank or weights[0] == 1)


def _full(known: NodeAxes, name: str, result: Shape) -> bool:
    shape = known.shape(name)
    return len(shape) == len(result) and shape[:1] == result[:1]

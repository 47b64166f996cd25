"""Integers and booleans of a model that the hardware computes with: whole numbers, in formats whose step is 1.

Part of normalise.py. The nodes become the same nodes on float32, which holds such numbers exactly, and the types that their tensors
had are kept: quantisation gives these tensors whole steps. What the nodes do with sums and products beyond the format is to saturate;
ONNX leaves overflow open.

Nodes that share an integer tensor stay together: they go to the hardware if it has every one of them, else to the host (host/split.py).
Those whose values become reals only to be scaled or shifted go to the host as well, unless the user wants no node there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import networkx as nx
import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from ..host.split import HostOps
from ..ops.mask import LEAST
from .rewriter import Rewriter, attributes_of

_ALL = 1 << 16
_VALUES: Mapping[str, tuple[int, ...] | int] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Max", "Min", "Sum", "Concat", "MatMul", "Clip"), _ALL),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split"), 1),
    **dict.fromkeys(("Expand", "Tile", "Gather", "Resize", "DepthToSpace", "SpaceToDepth", "Trilu"), 1),
    **dict.fromkeys(("Identity", "Cast", "Relu", "MaxPool", "ReduceMax", "ReduceMin", "ReduceSum"), 1),
    "Pad": (0, 2),
    "Where": (0, 1, 2),
}
"""Operators whose results are whole for whole operands: which operands are values (so many first ones, or these), not sizes or axes."""
ON_INTEGERS = tuple(sorted(_VALUES))
"""ONNX operators that the hardware does on integers and booleans, exactly."""
_SCALING = ("Add", "Sub", "Mul", "Div")
_WIDE = (TensorProto.INT32, TensorProto.INT64, TensorProto.UINT32, TensorProto.UINT64)


def take(model: onnx.ModelProto, host_ops: HostOps) -> dict[str, str]:
    """Make float nodes of what the hardware can do on integers, in place.

    Args:
        model: constants folded, types known; types of tensors are unknown afterwards if anything changed.
        host_ops: nodes that the user leaves to the host.

    Returns:
        NumPy's name of the type that each tensor had which is now of floats.
    """
    graph = model.graph
    computed = {value.name for value in graph.input} | {name for node in graph.node for name in node.output}
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.name in computed and _is_whole(value)
    }
    taken: set[str] = set()
    rewriter = Rewriter(model)
    shared = _shared(graph, types)
    prepared = _prepared(graph, types) if host_ops is None else frozenset()
    for group in nx.connected_components(shared):
        nodes = [shared.nodes[one]["node"] for one in group if "node" in shared.nodes[one]]
        if (
            nodes
            and prepared.isdisjoint(node.output[0] for node in nodes)
            and all(_has_hardware(node, types, rewriter.constants, host_ops or ()) for node in nodes)
        ):
            taken |= {name for kind, name in group if kind == "tensor"}
    if not taken:
        return {}
    for node in graph.node:
        rewriter.begin(node)
        if taken.isdisjoint((*node.input, *node.output)):
            rewriter.keep(node)
        else:
            _rewrite(rewriter, node, types)
    for value in (*graph.input, *graph.output):
        if value.name in taken:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    rewriter.finish()
    return {name: onnx.helper.tensor_dtype_to_np_dtype(types[name]).name for name in sorted(taken)}


def restore_outputs(model: onnx.ModelProto, kinds: Mapping[str, str]) -> None:
    """Make integers again of what a part of the model gives, where the model itself does; in place.

    Args:
        model: the host's last nodes.
        kinds: what `take` returned.
    """
    graph = model.graph
    for value in graph.output:
        if value.name in kinds:
            whole = f"{value.name}, whole"
            for node in graph.node:
                node.output[:] = [whole if name == value.name else name for name in node.output]
                node.input[:] = [whole if name == value.name else name for name in node.input]
            kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kinds[value.name]))
            graph.node.append(onnx.helper.make_node("Cast", [whole], [value.name], name=whole, to=kind))
            value.type.tensor_type.elem_type = kind


def _is_whole(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.tensor_type.elem_type
    return kind != TensorProto.UNDEFINED and onnx.helper.tensor_dtype_to_np_dtype(kind).kind in "iub"


def _shared(graph: onnx.GraphProto, types: Mapping[str, int]) -> nx.Graph[tuple[str, str]]:
    """Nodes, and the integer tensors that they read and make."""
    shared: nx.Graph[tuple[str, str]] = nx.Graph()
    for node in graph.node:
        for name in {*node.input, *node.output} & types.keys():
            shared.add_node(("node", node.output[0]), node=node)
            shared.add_edge(("node", node.output[0]), ("tensor", name))
    return shared


def _prepared(graph: onnx.GraphProto, types: Mapping[str, int]) -> frozenset[str]:
    """Results of casts to reals that are then scaled or shifted: the host does both at once, and what it gives is rounded once."""
    casts = {node.output[0] for node in graph.node if node.op_type == "Cast"} - types.keys()
    readers = (node for node in graph.node if node.op_type in _SCALING)
    return frozenset(name for node in readers for name in node.input if name in casts)


def _has_hardware(
    node: NodeProto, types: Mapping[str, int], constants: Mapping[str, np.ndarray], host_ops: tuple[str, ...]
) -> bool:
    """Whether a node on whole numbers is exact in hardware, and not left to the host."""
    if node.op_type not in _VALUES or {node.name, node.op_type} & set(host_ops):
        return False
    values = _value_indices(node)
    if any(name in types for index, name in enumerate(node.input) if index not in values):
        return False  # computed indices or sizes
    check = _CHECKS.get(node.op_type)
    return check is None or check(node, types, constants)


def _cast_keeps(node: NodeProto, types: Mapping[str, int], constants: Mapping[str, np.ndarray]) -> bool:
    """To reals, and to integers that hold all of the type before, or are as wide as any."""
    if node.input[0] not in types:
        return False  # reals are cut off
    source, target = types[node.input[0]], attributes_of(node)["to"]
    if target == TensorProto.FLOAT or target in _WIDE:
        return True
    before, after = (onnx.helper.tensor_dtype_to_np_dtype(kind) for kind in (source, target))
    return after.kind in "iub" and np.can_cast(before, after, "safe")


def _where_is_finite(node: NodeProto, types: Mapping[str, int], constants: Mapping[str, np.ndarray]) -> bool:
    """A computed condition chooses between values, none of which stands for minus infinity."""
    chosen = [constants[name] for name in node.input[1:] if name in constants]
    return all(np.isfinite(one).all() and (one > LEAST).all() for one in chosen)


def _keeps_elements(node: NodeProto, types: Mapping[str, int], constants: Mapping[str, np.ndarray]) -> bool:
    return bool(attributes_of(node).get("mode", b"nearest") == b"nearest")


def _is_one_result(node: NodeProto, types: Mapping[str, int], constants: Mapping[str, np.ndarray]) -> bool:
    return len([name for name in node.output if name]) == 1


_CHECKS: Mapping[str, Callable[[NodeProto, Mapping[str, int], Mapping[str, np.ndarray]], bool]] = {
    "Cast": _cast_keeps,
    "Where": _where_is_finite,
    "Resize": _keeps_elements,
    "MaxPool": _is_one_result,
}


def _value_indices(node: NodeProto) -> tuple[int, ...]:
    """Which operands of a node are values."""
    found = _VALUES[node.op_type]
    wanted = found if isinstance(found, tuple) else range(min(found, len(node.input)))
    return tuple(index for index in wanted if index < len(node.input))


def _rewrite(rewriter: Rewriter, node: NodeProto, types: Mapping[str, int]) -> None:
    """The node on float32; a cast does nothing, and a computed condition is a factor."""
    if node.op_type == "Cast":
        rewriter.node("Identity", [node.input[0]], node.output[0])
        return
    copy = NodeProto.FromString(node.SerializeToString())
    condition = node.op_type == "Where" and node.input[0] in rewriter.constants
    for index in _value_indices(node)[int(condition) :]:
        if (values := rewriter.constants.get(node.input[index])) is not None:
            copy.input[index] = rewriter.constant(values.astype(np.float32), f"{node.input[index]}, whole")
    if node.op_type == "Where" and not condition:
        chosen, first, second = copy.input
        other = rewriter.node("Sub", [rewriter.number(1, "one"), chosen])
        products = [rewriter.node("Mul", pair) for pair in ((chosen, first), (other, second))]
        rewriter.node("Add", products, node.output[0])
    else:
        rewriter.nodes.append(copy)

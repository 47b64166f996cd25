"""Models that move the batch out of axis 0 in between, as attention with (tokens, batch, features) does. Part of normalise.py.

With one sample, the batch is an axis of size 1, and moving it moves no value. So wherever axis 0 of a tensor is something else, the
tensor gets an axis of size 1 in front, the nodes there name their axes anew, and Reshapes lead in and out.
"""

from __future__ import annotations

import onnx
from onnx import NodeProto

from .batch_axis import OF_BATCHES
from .constant_folding import infer_shapes
from .node_axes import RESHAPING, NodeAxes
from .one_more_axis import Lifted


def keep_batch_first(model: onnx.ModelProto) -> frozenset[str]:
    """Gives every tensor of one sample an axis 0 of size 1, in place; shapes must be known.

    A model where an operator with a batch of its own works on such a tensor stays as it is, and so does one in which nothing moves.

    Returns:
        Names of the tensors with one more axis that others were reshaped to.

    Raises:
        IntarsiaError: a node cannot work on tensors with one more axis.
    """
    graph, lifted = model.graph, Lifted(model)
    known = lifted.known
    if any(size != 1 for value in graph.input for size in known.shapes[value.name][:1]):
        return frozenset()
    last = _last_moves(graph, known)
    moved = [node for node in graph.node if _without_batch(node, known) and node.name not in last]
    if not moved or any(node.op_type in OF_BATCHES for node in moved):
        return frozenset()
    names = {node.name for node in moved}
    widened: set[str] = set()
    for node in graph.node:
        lifted.begin(node)
        if node.name not in names:
            lifted.keep(node)
            continue
        for name in dict.fromkeys(known.computed(node)):
            if (shape := known.shape(name))[:1] == (1,):
                inside = lifted.as_shape(name, (1, *shape), f"{name}, read by {node.output[0]}")
                known.shapes[inside] = shape
                widened.add(inside)
                node.input[:] = [inside if other == name else other for other in node.input]
        _lift(node, lifted)
    lifted.finish()
    infer_shapes(model)
    return frozenset(widened)


def _last_moves(graph: onnx.GraphProto, known: NodeAxes) -> set[str]:
    """Names of the nodes that only reshape a result at the end: the host does that, and the result keeps its shape."""
    last: set[str] = set()
    read_by_others: set[str] = set()
    for node in reversed(graph.node):
        operands = known.computed(node)
        if (
            node.op_type in (*RESHAPING, "Transpose")
            and read_by_others.isdisjoint(node.output)
            and all(known.shapes.get(name, ())[:1] == (1,) for name in operands)
        ):
            last.add(node.name)
        else:
            read_by_others.update(operands)
    return last


def _lift(node: NodeProto, lifted: Lifted) -> None:
    """The node with one more axis; results that have a batch in front are as they were."""
    known = lifted.known
    back = [name for name in node.output if name and known.shape(name)[:1] == (1,)]
    for name in back:
        known.shapes[f"{name}, lifted"] = known.shape(name)
    node.output[:] = [f"{name}, lifted" if name in back else name for name in node.output]
    lifted.lift(node)
    for name in back:
        lifted.as_shape(f"{name}, lifted", known.shape(name), name)


def _without_batch(node: NodeProto, known: NodeAxes) -> bool:
    """Whether axis 0 of something that the node computes with, or of its result, is not of size 1."""
    names = [*known.computed(node), *filter(None, node.output)]
    return all(name in known.shapes for name in names) and any(
        known.shape(name)[:1] != (1,) for name in names
    )

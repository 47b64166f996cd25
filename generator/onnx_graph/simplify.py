"""Take out of an ONNX graph what computes nothing. Part of normalise.py: all change a private copy in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableSequence

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..errors import IntarsiaError
from ..ops.transpose import keeps_order
from .constant_folding import shapes_of


def remove_identities(graph: onnx.GraphProto) -> None:
    """Remove Identity, Dropout in inference form, and casts that change nothing."""
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name for value in graph.input}
    outputs = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    sources: dict[str, str] = {}  # result of a node that goes -> the tensor that it equals
    shown: dict[str, str] = {}  # tensor -> the graph output whose name it takes over
    for node in graph.node:
        _rename(node.input, sources)
        source, result = (node.input[0] if node.input else ""), node.output[0]
        name = shown.get(source, source)
        if not _does_nothing(node, types, constants) or (
            result in outputs and (name in outputs or name in inputs)
        ):
            if _does_nothing(node, types, constants):
                node.CopyFrom(helper.make_node("Identity", [source], [result], name=node.name))
            kept.append(node)
            continue
        sources[result] = source
        if result in outputs:
            shown[source] = result
    for node in kept:
        _rename(node.input, shown)
        _rename(node.output, shown)
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)


def _does_nothing(node: NodeProto, types: dict[str, int], constants: dict[str, TensorProto]) -> bool:
    match node.op_type:
        case "Identity":
            return True
        case "Dropout":
            training = node.input[2] if len(node.input) > 2 else ""
            if training and not (training in constants and not numpy_helper.to_array(constants[training])):
                raise IntarsiaError(
                    f"Dropout node {node.name!r} is in training mode. Export the model in eval mode"
                )
            return True
        case "Cast":
            return any(a.name == "to" and a.i == types.get(node.input[0]) for a in node.attribute)
        case _:
            return False


def _rename(names: MutableSequence[str], new: Mapping[str, str]) -> None:
    for index, name in enumerate(names):
        if name in new:
            names[index] = new[name]


def remove_dead_nodes(graph: onnx.GraphProto) -> None:
    """Remove nodes and initializers that no graph output depends on."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    for node in nodes:
        while len(node.output) > 1 and node.output[-1] not in needed:
            del node.output[-1]
    initializers = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(initializers)


def reshape_inputs(graph: onnx.GraphProto, but: Collection[str] = ()) -> list[str]:
    """Where the model first turns its input into an image, in the same order of values, take it as an image.

    Tensors of the names `but` are no images, whatever their shape.
    """
    notes = []
    for value in graph.input:
        while (node := _reshaping_reader(graph, value)) is not None and node.output[0] not in but:
            shape = shapes_of(graph)[node.output[0]]
            del value.type.tensor_type.shape.dim[:]
            for size in shape:
                value.type.tensor_type.shape.dim.add(dim_value=size)
            graph.node.remove(node)
            for other in graph.node:
                _rename(other.input, {node.output[0]: value.name})
            notes.append(
                f"input {value.name!r} is taken in shape {shape} ({node.op_type} node {node.name!r})"
            )
    return notes


def _reshaping_reader(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> NodeProto | None:
    """The only reader of an input, if it makes an image of it without moving a value."""
    readers = [node for node in graph.node if value.name in node.input]
    if len(readers) != 1 or readers[0].output[0] in {output.name for output in graph.output}:
        return None
    node = readers[0]
    shapes = shapes_of(graph)
    before, after = shapes[value.name], shapes.get(node.output[0], ())
    if node.op_type == "Transpose":
        perm = next(
            (list(a.ints) for a in node.attribute if a.name == "perm"), list(range(len(before)))[::-1]
        )
        keeps = keeps_order(before, perm)
    else:
        keeps = node.op_type in ("Reshape", "Unsqueeze", "Squeeze")
    return node if keeps and len(after) == 4 and after[0] == 1 else None


def drop_unused_inputs(graph: onnx.GraphProto) -> list[str]:
    """Inputs that nothing reads are no inputs of the accelerator."""
    read = {name for node in graph.node for name in node.input}
    unused = [value for value in graph.input if value.name not in read]
    for value in unused:
        graph.input.remove(value)
    return [f"input {value.name!r} is not used by the model and was dropped" for value in unused]

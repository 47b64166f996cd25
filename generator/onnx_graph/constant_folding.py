"""Constant folding: nodes whose operands are constants, or shapes that are known, become initializers."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from ..errors import IntarsiaError
from ..operator import Array
from .batch import correct_reshape
from .reference_session import reference_session

_RANDOM = (
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
)


def fold(model: onnx.ModelProto, batch: int) -> int:
    """Fold in place until nothing changes, with the batch size (once `batch`) now 1; returns how many nodes went.

    Afterwards the model holds the shapes of all tensors.
    """
    folded = _fold_once(model, {})
    corrected: set[str] = set()
    while True:
        infer_shapes(model, strict=batch == 1)
        shapes = shapes_of(model.graph)
        if batch > 1 and correct_reshape(model, shapes, batch, corrected):
            continue
        if not (done := _fold_once(model, shapes)):
            break
        folded += done
    infer_shapes(model)
    return folded


def infer_shapes(model: onnx.ModelProto, strict: bool = True) -> None:
    """Replace the model's intermediate shapes by inferred ones.

    Raises:
        IntarsiaError: shapes contradict each other (only looked for if `strict`).
    """
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        model.CopyFrom(onnx.shape_inference.infer_shapes(model, check_type=strict, strict_mode=strict))
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise IntarsiaError(
            f"the model's shapes or types contradict each other: {lines[-1] if lines else error}. "
            "Check the named node's operands, or export the model again"
        ) from error


def shapes_of(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors whose shape is fully known."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(
            dimension.HasField("dim_value") for dimension in tensor.shape.dim
        ):
            shapes.setdefault(value.name, tuple(dimension.dim_value for dimension in tensor.shape.dim))
    return shapes


def _fold_once(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """One walk in topological order."""
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    constant = set(values)
    nodes, kept = [], []
    for node in graph.node:
        known = _shape_value(node, shapes)
        if known is not None:
            values[node.output[0]] = numpy_helper.from_array(known, node.output[0])
            constant.add(node.output[0])
        elif node.op_type not in _RANDOM and all(name in constant for name in node.input if name):
            nodes.append(node)
            constant.update(name for name in node.output if name)
        else:
            kept.append(node)
    if len(kept) == len(graph.node):
        return 0
    needed = {name for node in kept for name in node.input} | {value.name for value in graph.output}
    results = _evaluate(
        model, nodes, values, [name for node in nodes for name in node.output if name in needed]
    )
    constants = [tensor for name, tensor in {**values, **results}.items() if name in needed]
    folded = len(graph.node) - len(kept)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(constants)
    return folded


def _shape_value(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> Array | None:
    """Result of Shape or Size of a tensor whose shape is known."""
    if node.op_type not in ("Shape", "Size") or node.input[0] not in shapes:
        return None
    shape = shapes[node.input[0]]
    if node.op_type == "Size":
        return np.array(prod(shape), dtype=np.int64)
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], dtype=np.int64)


def _evaluate(
    model: onnx.ModelProto, nodes: list[NodeProto], values: dict[str, onnx.TensorProto], wanted: list[str]
) -> dict[str, onnx.TensorProto]:
    """Constant nodes, run by ONNX Runtime: it knows every version of every operator."""
    if not wanted:
        return {}
    read = {name for node in nodes for name in node.input}
    graph = onnx.helper.make_graph(
        nodes,
        "constants",
        inputs=[],
        outputs=[onnx.ValueInfoProto(name=name) for name in wanted],
        initializer=[tensor for name, tensor in values.items() if name in read],
    )
    constants = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        results = reference_session(constants).run(wanted, {})
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        names = ", ".join(sorted({node.op_type for node in nodes}))
        raise IntarsiaError(
            f"the model's constant nodes ({names}) cannot be evaluated: {str(error).strip().splitlines()[0]}"
        ) from error
    return {
        name: numpy_helper.from_array(np.asarray(result), name)
        for name, result in zip(wanted, results, strict=True)
    }

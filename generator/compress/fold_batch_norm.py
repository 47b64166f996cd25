"""BatchNormalization folded into the convolution or matrix product before it, in an ONNX model.

Compilation folds it as well, but behind circulant weights that would scale every output by a factor of its own, and the
weights would not be circulant any more. So it goes first: training then keeps the structure.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from .layers import initializer_values


def fold_batch_norm(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no BatchNormalization follows a Conv or Gemm whose result only it reads."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    values = initializer_values(result)
    kept = {output.name for output in graph.output}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        source = next((node for node in graph.node if norm.input[0] in node.output), None)
        readers = [node for node in graph.node if norm.input[0] in node.input]
        if (
            source is None
            or len(readers) > 1
            or norm.input[0] in kept
            or not _folds(source, norm, graph, values)
        ):
            continue
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        gamma, beta, mean, variance = (values[name].astype(np.float64) for name in norm.input[1:5])
        factor = gamma / np.sqrt(variance + epsilon)
        weight = values[source.input[1]].astype(np.float64)
        axis = 1 if source.op_type == "Gemm" and not _integer(source, "transB") else 0
        along = [1] * weight.ndim
        along[axis] = -1
        bias = values[source.input[2]] if len(source.input) > 2 and source.input[2] else np.zeros(len(factor))
        _store(graph, source.input[1], weight * factor.reshape(along))
        name = source.input[2] if len(source.input) > 2 and source.input[2] else f"{source.output[0]}.bias"
        _store(graph, name, (bias - mean) * factor + beta)
        source.input[:] = [source.input[0], source.input[1], name]
        source.output[0] = norm.output[0]
        graph.node.remove(norm)
    return result


def _folds(source: NodeProto, norm: NodeProto, graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> bool:
    """Constant operands that nothing else reads, and a Gemm without factors."""
    operands = [*source.input[1:], *norm.input[1:5]]
    if source.op_type not in ("Conv", "Gemm") or any(name not in values for name in operands if name):
        return False
    if any(a.f != 1 for a in source.attribute if a.name in ("alpha", "beta")):
        return False
    readers = [name for node in graph.node for name in node.input]
    return all(readers.count(name) == 1 for name in source.input[1:] if name)


def _store(graph: onnx.GraphProto, name: str, value: np.ndarray) -> None:
    for tensor in [tensor for tensor in graph.initializer if tensor.name == name]:
        graph.initializer.remove(tensor)
    graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))


def _integer(node: NodeProto, name: str) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)

"""What a model must be before it is worth normalising; every check names the node or tensor and the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import onnx
from onnx import AttributeProto, NodeProto, ValueInfoProto

from ..errors import IntarsiaError

OLDEST_OPSET = 7
NEWEST_OPSET = onnx.defs.onnx_opset_version()
STANDARD_DOMAINS = ("", "ai.onnx")
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_SHOWN = 5
_MODELESS = 14
"""Opset since which BatchNormalization says by an attribute that it is trained; before, by having further outputs."""


def opset(model: onnx.ModelProto) -> int:
    """Version of the standard operator set."""
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS]
    if not versions:
        raise IntarsiaError(
            "the model imports no standard ONNX operator set (domain ai.onnx). Export it again"
        )
    return int(max(versions))


def check(model: onnx.ModelProto) -> None:
    """Raise IntarsiaError for the first thing that rules the model out as a whole."""
    version = opset(model)
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        raise IntarsiaError(
            f"the model uses opset {version}. Supported: {OLDEST_OPSET} to {NEWEST_OPSET}. Convert it with "
            "onnx.version_converter.convert_version(model, 17)"
        )
    nodes = list(model.graph.node)
    _refuse(
        nodes,
        lambda node: node.domain not in STANDARD_DOMAINS,
        "operators of other domains than standard ONNX",
        "Export the model with standard operators; if ONNX Runtime wrote it, save it with graph optimisations disabled",
    )
    _refuse(
        nodes,
        lambda node: node.op_type in _QUANTISED or node.op_type.startswith("QLinear"),
        "quantised operators that are not supported",
        "Supported: static quantisation by QuantizeLinear and DequantizeLinear, QLinearConv, QLinearMatMul, ConvInteger and "
        "MatMulInteger. Or give the float model: intarsia quantises it itself",
    )
    _refuse(
        nodes,
        lambda node: any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in node.attribute),
        "control flow",
        "The hardware runs a fixed sequence. Export the model without If, Loop and Scan",
    )
    _refuse(
        nodes,
        lambda node: _is_trained(node, version),
        "operators in training mode",
        "Export the model in eval mode",
    )
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise IntarsiaError(
            f"tensor {name!r} is a sparse initializer. Supported: dense ones. Export the model again"
        )
    _check_outputs(model.graph)
    _check_inputs(model)


def check_operators(model: onnx.ModelProto) -> None:
    """Raise IntarsiaError for the first operators that the model's opset does not have."""
    version = opset(model)
    _refuse(
        list(model.graph.node),
        lambda node: not _exists(node, version),
        f"operators that ONNX does not have in opset {version}",
        "Export the model with standard operators and the opset that has them",
    )


def check_reshapes(graph: onnx.GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise IntarsiaError for the first Reshape that does not keep the number of values, as far as shapes are known."""
    for node in graph.node:
        if node.op_type != "Reshape" or not {node.input[0], node.output[0]} <= shapes.keys():
            continue
        before, after = shapes[node.input[0]], shapes[node.output[0]]
        if prod(before) != prod(after):
            raise IntarsiaError(
                f"{describe([node])} makes {prod(after)} values of shape {after} of {node.input[0]!r}, which has "
                f"{prod(before)} of shape {before}. Supported: as many. Export the model again with shapes that fit"
            )


def describe(nodes: Sequence[NodeProto]) -> str:
    """A few nodes by operator and name."""
    shown = [
        f"{node.op_type}{f' of {node.domain}' if node.domain not in STANDARD_DOMAINS else ''} "
        + (f"(node {node.name!r})" if node.name else f"(unnamed node of output {''.join(node.output[:1])!r})")
        for node in nodes[:_SHOWN]
    ]
    more = f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else ""
    return ", ".join(shown) + more


def _refuse(nodes: list[NodeProto], wrong: Callable[[NodeProto], bool], what: str, remedy: str) -> None:
    if offenders := [node for node in nodes if wrong(node)]:
        raise IntarsiaError(f"the model uses {what}: {describe(offenders)}. {remedy}")


def _is_trained(node: NodeProto, version: int) -> bool:
    if node.op_type == "BatchNormalization" and version < _MODELESS:
        return len([name for name in node.output if name]) > 1
    return any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)


def _exists(node: NodeProto, version: int) -> bool:
    try:
        onnx.defs.get_schema(node.op_type, version, "")
    except onnx.defs.SchemaError:
        return False
    return True


def _check_outputs(graph: onnx.GraphProto) -> None:
    """There are some, all tensors of different names, and none of them is an input or a constant."""
    if not graph.output:
        raise IntarsiaError("the graph has no outputs. Export the model again")
    inputs = {value.name for value in graph.input}
    constants = {tensor.name for tensor in graph.initializer}
    _require_different("graph output", [value.name for value in graph.output])
    for value in graph.output:
        _require_tensor("output", value)
        if value.name in constants:
            raise IntarsiaError(
                f"graph output {value.name!r} is a constant (an initializer): no node computes it. Supported: results of "
                "nodes. Remove it from the model's outputs, and keep its values beside the model"
            )
        if value.name in inputs:
            raise IntarsiaError(
                f"graph output {value.name!r} is a graph input: no node computes it. Supported: results of nodes. Remove "
                "it from the model's outputs"
            )


def _check_inputs(model: onnx.ModelProto) -> None:
    constants = [tensor.name for tensor in model.graph.initializer]
    _require_different("initializer", constants)
    _require_different("graph input", [value.name for value in model.graph.input])
    inputs = [value for value in model.graph.input if value.name not in set(constants)]
    if not inputs:
        raise IntarsiaError("the graph has no inputs: everything is constant. Export the model again")
    for value in inputs:
        _require_tensor("input", value)
        _check_shape(value)


def _require_different(what: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        name = next(name for index, name in enumerate(names) if name in names[:index])
        raise IntarsiaError(
            f"more than one {what} is named {name!r}. Supported: a name of its own for each. Rename them, or export the "
            "model again"
        )


def _require_tensor(role: str, value: ValueInfoProto) -> None:
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type") or (kind is None and role == "input"):
        found = (kind or "unknown type").removesuffix("_type").replace("_", " ")
        raise IntarsiaError(
            f"graph {role} {value.name!r} is no tensor ({found}). Supported: tensors. Export the model with a tensor for each "
            f"of its {role}s"
        )


def _check_shape(value: onnx.ValueInfoProto) -> None:
    """Every axis but the batch needs a fixed size."""
    tool = "python -m onnxruntime.tools.make_dynamic_shape_fixed"
    if not value.type.tensor_type.HasField("shape"):
        raise IntarsiaError(
            f"graph input {value.name!r} has no shape. Fix it, for images of 3 x 224 x 224 by: {tool} "
            f"--input_name {value.name} --input_shape 1,3,224,224 model.onnx fixed.onnx"
        )
    dimensions = value.type.tensor_type.shape.dim
    if not dimensions:
        raise IntarsiaError(
            f"graph input {value.name!r} of shape () is a single number. Supported: one axis or more, the first of which "
            "counts samples. Export the model with an input of shape (1, 1)"
        )
    shape = (
        "("
        + ", ".join(d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in dimensions)
        + ")"
    )
    for axis, dimension in enumerate(dimensions):
        if axis > 0 and not dimension.HasField("dim_value"):
            fix = (
                f"{tool} --dim_param {dimension.dim_param} --dim_value SIZE model.onnx fixed.onnx"
                if dimension.dim_param
                else f"{tool} --input_name {value.name} --input_shape 1,... model.onnx fixed.onnx"
            )
            raise IntarsiaError(
                f"graph input {value.name!r} of shape {shape} has no fixed size on axis {axis}. Supported: fixed "
                f"sizes, but for the batch (axis 0). Fix it by: {fix}"
            )
        if dimension.HasField("dim_value") and dimension.dim_value < 1:
            raise IntarsiaError(
                f"graph input {value.name!r} of shape {shape} has size {dimension.dim_value} on axis {axis}. "
                "Supported: 1 or more. Export the model with an example input that is not empty"
            )

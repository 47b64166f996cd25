"""What a model must be before it is worth normalising; every check names the node or tensor and the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import AttributeProto, NodeProto

from ..errors import IntarsiaError

OLDEST_OPSET = 7
NEWEST_OPSET = onnx.defs.onnx_opset_version()
STANDARD_DOMAINS = ("", "ai.onnx")
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_SHOWN = 5


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
        lambda node: any(a.name == "training_mode" and a.i for a in node.attribute),
        "operators in training mode",
        "Export the model in eval mode",
    )
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise IntarsiaError(
            f"tensor {name!r} is a sparse initializer. Supported: dense ones. Export the model again"
        )
    if not model.graph.output:
        raise IntarsiaError("the graph has no outputs. Export the model again")
    _check_inputs(model)


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


def _check_inputs(model: onnx.ModelProto) -> None:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if not inputs:
        raise IntarsiaError("the graph has no inputs: everything is constant. Export the model again")
    for value in inputs:
        if not value.type.HasField("tensor_type"):
            raise IntarsiaError(f"graph input {value.name!r} is no tensor. Supported: tensors of floats")
        _check_shape(value)


def _check_shape(value: onnx.ValueInfoProto) -> None:
    """Every axis but the batch needs a fixed size."""
    tool = "python -m onnxruntime.tools.make_dynamic_shape_fixed"
    if not value.type.tensor_type.HasField("shape"):
        raise IntarsiaError(
            f"graph input {value.name!r} has no shape. Fix it, for images of 3 x 224 x 224 by: {tool} "
            f"--input_name {value.name} --input_shape 1,3,224,224 model.onnx fixed.onnx"
        )
    dimensions = value.type.tensor_type.shape.dim
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
                "Supported: 1 or more"
            )

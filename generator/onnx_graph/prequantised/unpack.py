"""From a model that comes quantised to a float model, and the numbers that its quantisation keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from ...fixed_point import FixedPoint
from ..node_order import name_nodes, sort_nodes
from ..rewriter import Rewriter
from . import qonnx, qoperators
from .borders import float_inputs, float_outputs
from .strip import Steps, strip

_IR_VERSION = 10
_MOVING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "MaxPool")
"""Operators whose results are some of their inputs, in any order."""


@dataclass(frozen=True, eq=False)
class Unpacked:
    """A model that came quantised.

    Attributes:
        model: the same without quantisers, for the front end.
        reference: the same with quantisers, all standard ONNX, and float inputs and outputs: what ONNX Runtime runs.
        formats: of tensors of `model`.
        steps: of constants of `model`.
        integer_inputs: scale and zero point of each graph input that was integers.
    """

    model: onnx.ModelProto
    reference: onnx.ModelProto
    formats: dict[str, FixedPoint]
    steps: dict[str, Steps]
    integer_inputs: dict[str, tuple[float, int]]


def is_prequantised(model: onnx.ModelProto) -> bool:
    """True if some node quantises."""
    kinds = ("QuantizeLinear", "DequantizeLinear", *qoperators.OPERATORS)
    return any(qonnx.is_quantiser(node) or node.op_type in kinds for node in model.graph.node)


def unpack(model: onnx.ModelProto) -> Unpacked:
    """The float model and the numbers to keep; the model given stays as it is.

    Raises:
        IntarsiaError: a quantiser is one that hardware cannot do.
    """
    standard = onnx.ModelProto()
    standard.CopyFrom(model)
    _without_constant_inputs(standard)
    sort_nodes(standard.graph)
    name_nodes(standard.graph)
    integer_inputs = _expand(standard)
    reference = _reference(standard)
    stripped = strip(standard)
    _drop_unused_domains(standard)
    return Unpacked(standard, reference, stripped.formats, stripped.steps, integer_inputs)


def _expand(model: onnx.ModelProto) -> dict[str, tuple[float, int]]:
    """Only Q, DQ and float operators, in place; returns what integer inputs were."""
    rewriter = Rewriter(model)
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    integer_inputs = float_inputs(rewriter, nodes)
    scales = _scales(rewriter, [*rewriter.nodes, *nodes])
    for node in nodes:
        if not qoperators.expand(rewriter, node, scales):
            rewriter.nodes.append(node)
    float_outputs(rewriter)
    rewriter.finish()
    return integer_inputs


def _scales(rewriter: Rewriter, nodes: Iterable[NodeProto]) -> dict[str, float]:
    """Scales of integer tensors: those of QuantizeLinear, and of what is made of them without new values."""
    scales: dict[str, float] = {}
    for node in nodes:
        if node.op_type == "QuantizeLinear" and node.input[1] in rewriter.constants:
            scale = rewriter.constants[node.input[1]]
            if scale.size == 1:
                scales[node.output[0]] = float(np.asarray(scale).flat[0])
        elif node.op_type in _MOVING and node.input[0] in scales:
            scales[node.output[0]] = scales[node.input[0]]
    return scales


def _reference(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that ONNX Runtime can run."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    rewriter = Rewriter(copy)
    for node in copy.graph.node:
        rewriter.begin(node)
        if qonnx.is_quantiser(node):
            qonnx.append_standard(rewriter, node)
        else:
            rewriter.keep(node)
    rewriter.finish()
    _drop_unused_domains(copy)
    copy.ir_version = min(copy.ir_version, _IR_VERSION)
    return copy


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    used = {"", "ai.onnx", *(node.domain for node in model.graph.node)}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _without_constant_inputs(model: onnx.ModelProto) -> None:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)

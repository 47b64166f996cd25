"""The front end: a float ONNX model as a task graph, one task per node; passes/ makes it fit the hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx
from onnx import NodeProto, numpy_helper

from . import onnx_checks
from .batch import free_batch
from .constant_folding import shapes_of
from .decomposed_norm import fuse_norms
from .errors import IntarsiaError
from .normalise import REPLACED, normalise
from .onnx_model import Source, load
from .onnx_node import Constant, OnnxNode, Operand
from .operator import Array
from .ops import BY_ONNX_TYPE
from .ops.conv import grouped_note
from .ops.reshape import channel_axis
from .prequantised import Unpacked, is_prequantised, unpack, with_steps
from .task_graph import Task, TaskGraph, Tensor

HOST_TAIL = ("Softmax", "LogSoftmax", "Flatten", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that are left to the host where they come last."""


_OF_SIGNALS = ("Conv", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "BatchNormalization")
_BY_ELEMENT = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Relu", "Clip")


@dataclass(frozen=True)
class ImportedModel:
    """A model as it came.

    Attributes:
        graph: the float task graph, one task per node; its tensors have the names of the ONNX tensors.
        model: the normalised float model, for ONNX Runtime: every node named, constants folded. The batch
            size is open (named `batch`), or 1 where the model mixes samples.
        host_tail: operator and name of each last node that is left to the host.
        notes: remarks for the report.
        reference: what the design is compared with: `model`, or the quantised model as it came, with float inputs.
        integer_inputs: scale and zero point of each graph input that was integers.
    """

    graph: TaskGraph
    model: onnx.ModelProto
    host_tail: tuple[str, ...]
    notes: tuple[str, ...]
    reference: onnx.ModelProto
    integer_inputs: Mapping[str, tuple[float, int]]


def import_model(source: Source) -> ImportedModel:
    """Import an ONNX model of a CNN or MLP, with images as (batch, channels, height, width).

    A model that comes quantised is imported as the float model that it stands for; tensors and parameters of the graph
    then have the model's own formats and steps.

    Args:
        source: path of an .onnx file, or a model in memory, which stays as it is.

    Raises:
        IntarsiaError: the file cannot be read, or the model has something that is not supported.
    """
    model = load(source)
    unpacked = unpack(model) if is_prequantised(model) else None
    if unpacked is not None:
        model = unpacked.model
    notes = normalise(model)
    nodes, outputs, tail = split_host_tail(model.graph)
    if not nodes:
        raise IntarsiaError(
            "nothing is left for the accelerator: all nodes are constant, do nothing or run on the host"
        )
    shapes = shapes_of(model.graph)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes, members = fuse_norms(nodes, constants, shapes, outputs)
    unsupported = [node for node in nodes if node.op_type not in BY_ONNX_TYPE]
    if unsupported:
        raise IntarsiaError(
            f"the model uses operators that are not supported: {onnx_checks.describe(unsupported)}. "
            f"Supported: {', '.join(sorted({*BY_ONNX_TYPE, *REPLACED}))}. "
            "Export the model without them, or cut it before the first of them"
        )
    notes += tuple(f"{node} is left to the host" for node in tail)
    graph, remarks = _task_graph(model, nodes, outputs, constants, shapes, unpacked)
    tasks = tuple(replace(task, onnx_nodes=members.get(task.output, task.onnx_nodes)) for task in graph.tasks)
    graph = graph.with_tasks(tasks)
    free_batch(model, shapes_of(model.graph))
    if unpacked is None:
        return ImportedModel(graph, model, tail, notes + remarks, model, {})
    remarks += ("the model came quantised; its scales and zero points are kept",)
    return ImportedModel(graph, model, tail, notes + remarks, unpacked.reference, unpacked.integer_inputs)


def split_host_tail(graph: onnx.GraphProto) -> tuple[list[NodeProto], tuple[str, ...], tuple[str, ...]]:
    """Nodes for the accelerator, its outputs, and a description of the nodes after it, in order."""
    nodes: list[NodeProto] = []
    inputs = {value.name for value in graph.input}
    outputs = [value.name for value in graph.output]
    tail: list[str] = []
    read: set[str] = set()  # by the nodes that stay
    for node in reversed(graph.node):
        at_end = node.op_type in HOST_TAIL and node.output[0] in outputs and node.output[0] not in read
        if at_end and node.input[0] not in inputs:
            outputs[outputs.index(node.output[0])] = node.input[0]
            tail.append(f"{node.op_type} {node.name}")
        else:
            nodes.append(node)
            read.update(node.input)
    return nodes[::-1], tuple(dict.fromkeys(outputs)), tuple(tail[::-1])


def _task_graph(
    model: onnx.ModelProto,
    nodes: list[NodeProto],
    outputs: tuple[str, ...],
    constants: dict[str, Array],
    shapes: dict[str, tuple[int, ...]],
    unpacked: Unpacked | None,
) -> tuple[TaskGraph, tuple[str, ...]]:
    """One task per node, with shapes checked against ONNX's, and remarks for the report."""
    graph = model.graph
    inputs = tuple(value.name for value in graph.input)
    formats = unpacked.formats if unpacked else {}
    tensors = {
        name: Tensor(name, shapes[name], _input_axis(name, shapes, nodes), formats.get(name))
        for name in inputs
    }
    tasks: list[Task] = []
    remarks: list[str] = []
    for node in nodes:
        view = _view(node, onnx_checks.opset(model), tensors, constants, shapes)
        task = BY_ONNX_TYPE[node.op_type].from_onnx(view)
        if unpacked:
            task = with_steps(view, task, unpacked.steps)
        tensors[task.output] = replace(_output(view, task, tensors), format=formats.get(task.output))
        tasks.append(task)
        remarks += filter(None, [grouped_note(view, task)])
    made = {task.output for task in tasks}
    if idle := [name for name in outputs if name not in made]:
        raise IntarsiaError(
            f"graph output {idle[0]!r} is constant or an input, so no node of the accelerator makes it. Remove it"
        )
    return TaskGraph(graph.name or "model", inputs, outputs, tensors, tuple(tasks)), tuple(remarks)


def _input_axis(name: str, shapes: dict[str, tuple[int, ...]], nodes: list[NodeProto]) -> int:
    """Axis of an input's channels: that of a signal if a convolution or pool reads it, directly or element by element."""
    axis = channel_axis(len(shapes[name]))
    if len(shapes[name]) != 3:
        return axis
    read = {name}
    for node in nodes:
        if not read.isdisjoint(node.input):
            if node.op_type in _OF_SIGNALS:
                return 1
            if node.op_type in _BY_ELEMENT:
                read.add(node.output[0])
    return axis


def _view(
    node: NodeProto,
    opset: int,
    tensors: dict[str, Tensor],
    constants: dict[str, Array],
    shapes: dict[str, tuple[int, ...]],
) -> OnnxNode:
    operands: list[Operand] = []
    for name in node.input:
        if name in constants:
            operands.append(Constant(name, constants[name]))
        else:
            operands.append(tensors[name] if name else None)
    attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
    if (shape := shapes.get(node.output[0])) is None:
        raise IntarsiaError(
            f"{node.op_type} node {node.name!r}: the shape of its output {node.output[0]!r} depends on the input's "
            "values. Supported: fixed shapes. Export the model with fixed sizes"
        )
    return OnnxNode(node.name, node.op_type, opset, attributes, tuple(operands), tuple(node.output), shape)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    """Python value; strings as str."""
    value = onnx.helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


def _output(node: OnnxNode, task: Task, tensors: dict[str, Tensor]) -> Tensor:
    """What the operator says it makes, which must be what ONNX says."""
    try:
        shape, channels = task.operator.infer([tensors[name] for name in task.inputs], task.values)
    except IntarsiaError as error:
        raise node.error(str(error)) from error
    node.require(
        shape == node.output_shape,
        f"its result {task.output!r} has shape {node.output_shape} by ONNX's rules, but {shape} is supported",
    )
    node.require(
        shape[0] == 1,
        f"its result {task.output!r} has shape {shape}, which mixes samples or rows. Supported: axis 0 stays the batch",
    )
    return Tensor(task.output, shape, channels)

"""The front end: a float ONNX model as a task graph, one task per node; passes/ makes it fit the hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx
from onnx import NodeProto, numpy_helper

from .errors import IntarsiaError
from .host.split import HostOps, HostSplit, part, split, without_first
from .onnx_graph import onnx_checks, whole_numbers
from .onnx_graph.batch import free_batch
from .onnx_graph.constant_folding import shapes_of
from .onnx_graph.decomposed_norm import fuse_norms
from .onnx_graph.normalise import REPLACED, normalise
from .onnx_graph.onnx_model import Source, load
from .onnx_graph.onnx_node import Constant, OnnxNode, Operand
from .onnx_graph.prequantised import Unpacked, is_prequantised, unpack, with_steps
from .operator import Array
from .ops import BY_ONNX_TYPE
from .ops.conv import grouped_note
from .ops.reshape import channel_axis
from .task_graph import Task, TaskGraph, Tensor

_OF_SIGNALS = ("Conv", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "BatchNormalization")
_MOVING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
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
        host_before: the first nodes as a model of their own, if the host runs some; its outputs are inputs of `graph`, and
            `model` is without them.
        host_after: the last nodes, if the host runs some; its inputs are outputs of `graph`. `model` still has them.
    """

    graph: TaskGraph
    model: onnx.ModelProto
    host_tail: tuple[str, ...]
    notes: tuple[str, ...]
    reference: onnx.ModelProto
    integer_inputs: Mapping[str, tuple[float, int]]
    host_before: onnx.ModelProto | None = None
    host_after: onnx.ModelProto | None = None


def import_model(source: Source, host_ops: HostOps = None) -> ImportedModel:
    """Import an ONNX model of a CNN or MLP, with images as (batch, channels, height, width).

    A model that comes quantised is imported as the float model that it stands for; tensors and parameters of the graph
    then have the model's own formats and steps.

    Args:
        source: path of an .onnx file, or a model in memory, which stays as it is.
        host_ops: names or operators of the nodes that the host runs, and no others; None lets it run what only it can do,
            and what costs it nothing at the end.

    Raises:
        IntarsiaError: the file cannot be read, or the model has something that is not supported.
    """
    model = load(source)
    unpacked = unpack(model) if is_prequantised(model) else None
    if unpacked is not None:
        model = unpacked.model
    notes, kinds = normalise(model, host_ops)
    shapes = shapes_of(model.graph)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    where = _split(model, constants, shapes, host_ops)
    host_before = part(model, where.before, (*where.hardware, *where.after))
    host_after = part(model, where.after, where.hardware)
    if host_after is not None:
        whole_numbers.restore_outputs(host_after, kinds)
    if host_before is not None:
        if unpacked is not None:
            first = where.before[0]
            raise IntarsiaError(
                f"{first.op_type} node {first.name!r} would have to run on the host, before a model that came quantised. "
                "Supported: float models with host nodes at the start. Cut the model after them"
            )
        without_first(model, host_before, (*where.hardware, *where.after))
        names = ", ".join(f"{node.op_type} {node.name}" for node in where.before)
        made = ", ".join(value.name for value in host_before.graph.output)
        notes += (f"the host runs the first nodes ({names}), and gives the accelerator {made}",)
    outputs = _hardware_outputs(model.graph, where)
    nodes, members = fuse_norms(where.hardware, constants, shapes, outputs)
    tail = tuple(f"{node.op_type} {node.name}" for node in where.after)
    notes += tuple(f"{node} is left to the host" for node in tail)
    graph, remarks = _task_graph(model, nodes, outputs, constants, shapes, kinds, unpacked)
    tasks = tuple(replace(task, onnx_nodes=members.get(task.output, task.onnx_nodes)) for task in graph.tasks)
    graph = graph.with_tasks(tasks)
    free_batch(model, shapes_of(model.graph))
    if unpacked is None:
        return ImportedModel(graph, model, tail, notes + remarks, model, {}, host_before, host_after)
    remarks += ("the model came quantised; its scales and zero points are kept",)
    return ImportedModel(
        graph,
        model,
        tail,
        notes + remarks,
        unpacked.reference,
        unpacked.integer_inputs,
        host_after=host_after,
    )


def _split(
    model: onnx.ModelProto,
    constants: dict[str, Array],
    shapes: dict[str, tuple[int, ...]],
    host_ops: HostOps,
) -> HostSplit:
    """Where each node runs; a node that becomes part of a known one has hardware too."""
    shown = [value.name for value in model.graph.output]
    known, _ = fuse_norms(list(model.graph.node), constants, shapes, shown)
    without = {node.output[0] for node in known if node.op_type not in BY_ONNX_TYPE}
    return split(model.graph, without, sorted({*BY_ONNX_TYPE, *REPLACED}), host_ops)


def _hardware_outputs(graph: onnx.GraphProto, where: HostSplit) -> tuple[str, ...]:
    """What the accelerator gives, in the order of the model's outputs: these, or what the host makes them of."""
    makers = {name: node for node in where.after for name in node.output}
    made = {name for node in where.hardware for name in node.output}
    found: dict[str, None] = {}
    left = [value.name for value in reversed(graph.output)]
    while left:
        name = left.pop()
        if name in makers:
            left += [one for one in reversed(makers[name].input) if one in made or one in makers]
        else:
            found[name] = None
    return tuple(found)


def _task_graph(
    model: onnx.ModelProto,
    nodes: list[NodeProto],
    outputs: tuple[str, ...],
    constants: dict[str, Array],
    shapes: dict[str, tuple[int, ...]],
    kinds: dict[str, str],
    unpacked: Unpacked | None,
) -> tuple[TaskGraph, tuple[str, ...]]:
    """One task per node, with shapes checked against ONNX's, and remarks for the report."""
    graph = model.graph
    inputs = tuple(value.name for value in graph.input)
    formats = unpacked.formats if unpacked else {}
    tensors = {
        name: Tensor(
            name, shapes[name], _input_axis(name, shapes, nodes), formats.get(name), kinds.get(name, "")
        )
        for name in inputs
    }
    tasks: list[Task] = []
    remarks: list[str] = []
    for node in nodes:
        view = _view(node, onnx_checks.opset(model), tensors, constants, shapes)
        task = BY_ONNX_TYPE[node.op_type].from_onnx(view)
        if unpacked:
            task = with_steps(view, task, unpacked.steps)
        made_by_task = _output(view, task, tensors)
        tensors[task.output] = replace(
            made_by_task, format=formats.get(task.output), kind=kinds.get(task.output, "")
        )
        tasks.append(task)
        remarks += filter(None, [grouped_note(view, task)])
    made = {task.output for task in tasks}
    if idle := [name for name in outputs if name not in made]:
        raise IntarsiaError(_why_idle(idle[0], inputs, constants))
    return TaskGraph(graph.name or "model", inputs, outputs, tensors, tuple(tasks)), tuple(remarks)


def _why_idle(output: str, inputs: tuple[str, ...], constants: Mapping[str, Array]) -> str:
    """Why no node of the accelerator makes an output, and what to do."""
    if output in constants:
        why = f"is constant, with shape {constants[output].shape}"
    elif output in inputs:
        why = "is an input, or made from one by the host's first nodes"
    else:
        why = "is made by the host's first nodes"
    return (
        f"graph output {output!r} {why}, so no node of the accelerator makes it. Supported: results of its nodes, and what "
        "the host makes of them. Remove it from the model's outputs"
    )


def _input_axis(name: str, shapes: dict[str, tuple[int, ...]], nodes: list[NodeProto]) -> int:
    """Axis of an input's channels.

    Axis 1 of an image, and of a signal if a convolution or pool reads it, directly or element by element. Else the last one,
    also of four axes or more that only products of computed matrices read, directly or moved: rows of words, not of elements.
    """
    axis = channel_axis(len(shapes[name]))
    if len(shapes[name]) > 3:
        return len(shapes[name]) - 1 if _is_of_matrices(name, nodes) else axis
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


def _is_of_matrices(name: str, nodes: list[NodeProto]) -> bool:
    """Whether only products of computed matrices read a tensor, directly or after moves."""
    made = {result for node in nodes for result in node.output}
    read, products = {name}, 0
    for node in nodes:
        if read.isdisjoint(node.input):
            continue
        if node.op_type in _MOVING:
            read.add(node.output[0])
        elif node.op_type == "MatMul" and all(one in made or one == name for one in node.input):
            products += 1
        else:
            return False
    return products > 0


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
        raise node.error(f"{error}. Export the model again with shapes that fit") from error
    node.require(
        shape == node.output_shape,
        f"its result {task.output!r} has shape {node.output_shape} by ONNX's rules, but {shape} is supported",
    )
    node.require(
        shape[0] == 1,
        f"its result {task.output!r} has shape {shape}, which mixes samples or rows. Supported: axis 0 stays the batch",
    )
    return Tensor(task.output, shape, channels)

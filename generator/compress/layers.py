"""The layers of an ONNX model that can be circulant, and the way from their initializers to weights and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..circulant.blocks import Array
from ..frontend import ImportedModel
from ..ops.conv import Conv
from ..ops.dense import Dense
from ..passes import absorb_reshape, clamp_before_reshape, remove_no_ops
from ..task_graph import Parameter, TaskGraph


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or matrix product with constant weights.

    Attributes:
        name: of its ONNX node.
        op: Conv or Dense.
        initializer: name of the weights in the model.
        shape: of the initializer.
        index: flat index into the initializer for each element of the weights, as (outputs, inputs, positions).
        multiplications: products that the dense layer takes for a sample.
        obstacle: why it cannot be circulant; empty if it can.
    """

    name: str
    op: str
    initializer: str
    shape: tuple[int, ...]
    index: NDArray[np.int64]
    multiplications: int
    obstacle: str = ""

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.index)

    @property
    def inputs(self) -> int:
        """Input channels."""
        return len(self.index[0])

    def weight(self, initializer: Array) -> Array:
        """Weights (outputs, inputs, positions)."""
        found: Array = initializer.reshape(-1)[self.index]
        return found

    def to_initializer(self, weight: Array) -> Array:
        """The initializer of weights (outputs, inputs, positions)."""
        flat = np.empty(self.index.size, dtype=weight.dtype)
        flat[self.index.reshape(-1)] = weight.reshape(-1)
        return flat.reshape(self.shape)


def find_layers(imported: ImportedModel) -> tuple[Layer, ...]:
    """Every convolution and matrix product with constant weights, in order."""
    graph = imported.model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    by_name = {node.name: node for node in graph.node}
    numbered = _numbered(imported.graph, by_name, shapes)
    layers = []
    for task in imported.graph.tasks:
        if not isinstance(task.operator, Dense | Conv):
            continue
        node = by_name[task.name]
        name, groups = node.input[1], _attribute(node, "group", 1)
        obstacle = "its weights serve several nodes" if readers[name] > 1 else ""
        if groups > 1:
            obstacle = f"it has {groups} groups of channels, not one"
        last = numbered.task(task.name)
        index = last.operator.weights_by_position(last, numbered).transpose(0, 2, 1)
        layers.append(
            Layer(
                name=task.name,
                op=task.operator.name,
                initializer=name,
                shape=shapes[name],
                index=np.ascontiguousarray(index).astype(np.int64),
                multiplications=task.operator.macs(task, imported.graph),
                obstacle=obstacle,
            )
        )
    return tuple(layers)


def initializer_values(model: onnx.ModelProto) -> dict[str, Array]:
    """All initializers by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def with_initializers(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """A copy of the model with some initializers replaced, as float32."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.name in values:
            new = numpy_helper.from_array(np.asarray(values[tensor.name], dtype=np.float32), tensor.name)
            tensor.CopyFrom(new)
    return result


def _numbered(
    graph: TaskGraph, nodes: Mapping[str, onnx.NodeProto], shapes: Mapping[str, tuple[int, ...]]
) -> TaskGraph:
    """The graph with flat indices of the initializers as weights, and with reshapes before layers absorbed.

    Those decide which inputs of a matrix product are channels, and in what order.
    """
    tasks = []
    for task in graph.tasks:
        if isinstance(task.operator, Dense | Conv) and _attribute(nodes[task.name], "group", 1) == 1:
            shape = shapes[nodes[task.name].input[1]]
            numbers = np.arange(prod(shape), dtype=np.float64).reshape(shape)
            if isinstance(task.operator, Dense) and not _attribute(nodes[task.name], "transB", 0):
                numbers = numbers.T
            task = replace(task, parameters={**task.parameters, "weight": Parameter(numbers)})
        tasks.append(task)
    numbered = graph.with_tasks(tuple(tasks))
    for step in (remove_no_ops, clamp_before_reshape, absorb_reshape):
        numbered = step.apply(numbered)
    return numbered


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)

"""Faults of a float world: models, as a framework may hold them, that compute something else in one task.

Like those of mutations.py, but of ONNX nodes: weights, biases, attributes, operands, and whole results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from intarsia.operator import Array
from intarsia.task_graph import Task, TaskGraph

Change = Callable[[onnx.ModelProto, list[onnx.NodeProto], str], bool]
"""Changes a model, given a task's nodes in it and the tensor that it makes; False if it does not apply."""
_OF_MAXIMA_ONLY = ("dilations", "storage_order")
_PRODUCTS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True, eq=False)
class FloatFault:
    """A changed model, and the layer that it hurts."""

    name: str
    layer: str
    model: onnx.ModelProto


def faults(
    graph: TaskGraph, model: onnx.ModelProto, trace: Callable[[onnx.ModelProto], Mapping[str, Array]]
) -> Iterator[FloatFault]:
    """Each kind of fault at the first and at the last task that it applies to and whose result it moves by half a step.

    Args:
        graph: the quantised graph: its steps are what float worlds are compared in.
        model: the sound float model.
        trace: real tensors that a model gives for the inputs that will be verified.
    """
    sound = trace(model)

    def hurt(name: str, change: Change, tasks: list[Task]) -> FloatFault | None:
        for task in tasks:
            other = _changed(model, task, change)
            if other is None or task.output not in sound:
                continue
            step = graph.tensors[task.output].number.scale
            if np.abs(trace(other)[task.output] - sound[task.output]).max() > step / 2:
                return FloatFault(name, task.name, other)
        return None

    tasks = list(graph.tasks)
    for name, change in CHANGES.items():
        first = hurt(name, change, tasks)
        last = hurt(name, change, tasks[::-1])
        if first:
            yield first
        if first and last and last.layer != first.layer:
            yield last


def _changed(model: onnx.ModelProto, task: Task, change: Change) -> onnx.ModelProto | None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    nodes = [node for node in other.graph.node if node.name in task.onnx_nodes or task.output in node.output]
    return other if change(other, nodes, task.output) else None


def _on_constant(place: int, edit: Callable[[Array], Array | None]) -> Change:
    """Another weight (place 1) or bias (place 2) for a task's product; one that it alone reads."""

    def change(model: onnx.ModelProto, nodes: list[onnx.NodeProto], output: str) -> bool:
        constants = {one.name: one for one in model.graph.initializer}
        for node in nodes:
            if node.op_type in _PRODUCTS and len(node.input) > place and node.input[place] in constants:
                values = edit(numpy_helper.to_array(constants[node.input[place]]).copy())
                if values is None:
                    return False
                name = f"{node.input[place]} of {node.name}"
                model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
                node.input[place] = name
                return True
        return False

    return change


def _one_weight(weight: Array) -> Array:
    weight.reshape(-1)[np.argmax(np.abs(weight))] /= 2
    return weight


def _one_bias(bias: Array) -> Array:
    bias.reshape(-1)[0] += np.abs(bias).max()
    return bias


def _kernel_transposed(weight: Array) -> Array | None:
    square = weight.ndim == 4 and weight.shape[2] == weight.shape[3] > 1
    return weight.swapaxes(2, 3) if square else None


def _kernel_flipped(weight: Array) -> Array | None:
    return weight[..., ::-1] if weight.ndim == 4 and weight.shape[3] > 1 else None


def _matrix_transposed(weight: Array) -> Array | None:
    return weight.T.reshape(weight.shape) if weight.ndim == 2 and min(weight.shape) > 1 else None


def _inputs_permuted(weight: Array) -> Array | None:
    return weight[:, ::-1] if weight.shape[1] > 1 else None


def _padding_shifted(model: onnx.ModelProto, nodes: list[onnx.NodeProto], output: str) -> bool:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name == "pads" and len(attribute.ints) == 4 and attribute.ints[3]:
                attribute.ints[1] += 1
                attribute.ints[3] -= 1
                return True
    return False


def _retyped(old: str, new: str) -> Change:
    def change(model: onnx.ModelProto, nodes: list[onnx.NodeProto], output: str) -> bool:
        for node in nodes:
            if node.op_type == old:
                node.op_type = new
                for attribute in [one for one in node.attribute if one.name in _OF_MAXIMA_ONLY]:
                    node.attribute.remove(attribute)
                return True
        return False

    return change


def _operands_swapped(model: onnx.ModelProto, nodes: list[onnx.NodeProto], output: str) -> bool:
    for node in nodes:
        if node.op_type in ("Sub", "Div") and len(set(node.input)) == 2:
            node.input[:] = node.input[::-1]
            return True
    return False


def _softmax_along_columns(model: onnx.ModelProto, nodes: list[onnx.NodeProto], output: str) -> bool:
    for node in nodes:
        if node.op_type == "Softmax":
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("axis", -2))
            return True
    return False


def _behind(make: Callable[[str, str], list[onnx.NodeProto]]) -> Change:
    """Nodes behind the one that makes the task's result, for all who read it."""

    def change(model: onnx.ModelProto, nodes: list[onnx.NodeProto], output: str) -> bool:
        place, maker = next((i, node) for i, node in enumerate(model.graph.node) if output in node.output)
        before = f"{output} before the fault"
        maker.output[list(maker.output).index(output)] = before
        for offset, node in enumerate(make(before, output)):
            model.graph.node.insert(place + 1 + offset, node)
        return True

    return change


def _scaled(factor: float) -> Change:
    def make(x: str, y: str) -> list[onnx.NodeProto]:
        value = numpy_helper.from_array(np.array(factor, np.float32))
        return [
            helper.make_node("Constant", [], [f"{y} factor"], value=value),
            helper.make_node("Mul", [x, f"{y} factor"], [y]),
        ]

    return _behind(make)


CHANGES: Mapping[str, Change] = {
    "one weight": _on_constant(1, _one_weight),
    "one bias": _on_constant(2, _one_bias),
    "bias dropped": _on_constant(2, np.zeros_like),
    "kernel transposed": _on_constant(1, _kernel_transposed),
    "kernel flipped": _on_constant(1, _kernel_flipped),
    "output channels permuted": _on_constant(1, lambda weight: weight[::-1]),
    "input channels permuted": _on_constant(1, _inputs_permuted),
    "matrix transposed": _on_constant(1, _matrix_transposed),
    "weight address off by one": _on_constant(
        1, lambda weight: np.roll(weight.reshape(-1), 1).reshape(weight.shape)
    ),
    "padding shifted by one": _padding_shifted,
    "ReLU lost": _retyped("Relu", "Identity"),
    "mean for maximum": _retyped("MaxPool", "AveragePool"),
    "exponential for tanh": _retyped("Tanh", "Exp"),
    "operands swapped": _operands_swapped,
    "sum for product": _retyped("Mul", "Add"),
    "product for sum": _retyped("Add", "Mul"),
    "softmax along columns": _softmax_along_columns,
    "sign lost": _scaled(-1.0),
    "half the value": _scaled(0.5),
    "one percent more": _scaled(1.01),
    "nothing": _scaled(0.0),
}

"""Bring the channels of every operand to the axis on which the hardware needs them, by a Move where they are elsewhere.

Channels lie side by side in words. A matrix product needs them on the last axis, a convolution on axis 1; the second
operand of a product of two computed matrices must have a row for each output. Constants lie as their readers want them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from ..nest import Indices
from ..ops.constant import ConstantTensor
from ..ops.matmul import MatMul
from ..ops.move import Move, move
from ..task_graph import Task, TaskGraph, Tensor


def apply(graph: TaskGraph) -> TaskGraph:
    """Every operand that lies otherwise is read through a Move."""
    tasks: list[Task] = []
    tensors = dict(graph.tensors)
    made: dict[str, Task] = {}
    for task in graph.tasks:
        inputs = _beside(task, tensors, made)
        axes = list(task.operator.channel_axes(inputs))
        swaps = [False] * len(inputs)
        if task.operator == MatMul(transposed=False):
            task = replace(task, operator=MatMul())
            swaps[1] = True
        names = list(task.inputs)
        for number, (tensor, axis, swapped) in enumerate(zip(inputs, axes, swaps, strict=True)):
            constant = made.get(tensor.name)
            if constant is not None and isinstance(constant.operator, ConstantTensor):
                placed = _placed(constant, axis, swapped=swapped)
                tasks[tasks.index(constant)] = made[tensor.name] = placed
                shape, channels = placed.operator.infer([], placed.values)
                tensors[tensor.name] = replace(tensors[tensor.name], shape=shape, channel_axis=channels)
            elif swapped or tensor.channel_axis != axis:
                step = _moved(tensor, task, number, axis, swapped=swapped)
                shape, channels = step.operator.infer([tensor], {})
                tensors[step.output] = Tensor(step.output, shape, channels, tensor.format, tensor.kind)
                tasks.append(step)
                names[number] = step.output
        tasks.append(replace(task, inputs=tuple(names)))
        made[task.output] = tasks[-1]
        shape, channels = task.operator.infer([tensors[name] for name in names], task.values)
        tensors[task.output] = replace(tensors[task.output], shape=shape, channel_axis=channels)
    return replace(graph, tasks=tuple(tasks), tensors=tensors)


def _beside(task: Task, tensors: Mapping[str, Tensor], made: Mapping[str, Task]) -> list[Tensor]:
    """The operands; constants with their channels where the computed one has them."""
    inputs = [tensors[name] for name in task.inputs]
    constant = [name in made and isinstance(made[name].operator, ConstantTensor) for name in task.inputs]
    axis = next((x.channel_axis for x, fixed in zip(inputs, constant, strict=True) if not fixed), None)
    return [
        replace(x, channel_axis=axis) if fixed and axis is not None else x
        for x, fixed in zip(inputs, constant, strict=True)
    ]


def _placed(constant: Task, axis: int, *, swapped: bool) -> Task:
    """The constant with its channels on that axis; with rows and columns exchanged if asked for."""
    parameter = constant.parameters["values"]
    values = parameter.values.swapaxes(-1, -2) if swapped else parameter.values
    return replace(
        constant, operator=ConstantTensor(axis), parameters={"values": replace(parameter, values=values)}
    )


def _moved(tensor: Tensor, task: Task, number: int, axis: int, *, swapped: bool) -> Task:
    """The operand in the order that the task needs."""
    indices: Indices = np.arange(prod(tensor.shape), dtype=np.int64).reshape(tensor.shape)
    operator = move(indices.swapaxes(-1, -2) if swapped else indices, axis)
    assert isinstance(operator, Move)  # a permutation of axes is always a nest
    result = f"{task.output}, operand {number}"
    return Task(result, operator, (tensor.name,), result, onnx_nodes=task.onnx_nodes)

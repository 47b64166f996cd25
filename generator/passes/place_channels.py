"""Bring the channels of every operand to the axis on which the hardware needs them, by a Move where they are elsewhere.

Channels lie side by side in words. A matrix product needs them on the last axis, a convolution on axis 1; the second
operand of a product of two computed matrices must have a row for each output.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from ..nest import Indices
from ..ops.matmul import MatMul
from ..ops.move import Move, move
from ..task_graph import Task, TaskGraph, Tensor


def apply(graph: TaskGraph) -> TaskGraph:
    """Every operand that lies otherwise is read through a Move."""
    tasks: list[Task] = []
    tensors = dict(graph.tensors)
    for task in graph.tasks:
        inputs = [tensors[name] for name in task.inputs]
        axes = list(task.operator.channel_axes(inputs))
        swaps = [False] * len(inputs)
        if task.operator == MatMul(transposed=False):
            task = replace(task, operator=MatMul())
            swaps[1] = True
        names = list(task.inputs)
        for number, (tensor, axis, swapped) in enumerate(zip(inputs, axes, swaps, strict=True)):
            if swapped or tensor.channel_axis != axis:
                step = _moved(tensor, task, number, axis, swapped=swapped)
                shape, channels = step.operator.infer([tensor], {})
                tensors[step.output] = Tensor(step.output, shape, channels, tensor.format)
                tasks.append(step)
                names[number] = step.output
        tasks.append(replace(task, inputs=tuple(names)))
        shape, channels = task.operator.infer([tensors[name] for name in names], task.values)
        tensors[task.output] = replace(tensors[task.output], shape=shape, channel_axis=channels)
    return replace(graph, tasks=tuple(tasks), tensors=tensors)


def _moved(tensor: Tensor, task: Task, number: int, axis: int, *, swapped: bool) -> Task:
    """The operand in the order that the task needs."""
    indices: Indices = np.arange(prod(tensor.shape), dtype=np.int64).reshape(tensor.shape)
    operator = move(indices.swapaxes(-1, -2) if swapped else indices, axis)
    assert isinstance(operator, Move)  # a permutation of axes is always a nest
    result = f"{task.output}, operand {number}"
    return Task(result, operator, (tensor.name,), result, onnx_nodes=task.onnx_nodes)

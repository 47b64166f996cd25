"""Make constant operands that are tensors tasks of their own, one for each reader: its phase streams it from a memory."""

from __future__ import annotations

from dataclasses import replace

from ..ops.constant import ConstantTensor
from ..ops.with_constant import WithConstant
from ..task_graph import Task, TaskGraph, Tensor


def apply(graph: TaskGraph) -> TaskGraph:
    """A ConstantTensor before every WithConstant, which becomes the operator of two operands."""
    tasks: list[Task] = []
    tensors = dict(graph.tensors)
    for task in graph.tasks:
        if isinstance(task.operator, WithConstant):
            parameter = task.parameters["constant"]
            name = f"{task.output}, constant"
            tensor = Tensor(name, parameter.values.shape, graph.input_tensors(task)[0].channel_axis)
            tensors[name] = tensor
            constant = ConstantTensor(tensor.channel_axis)
            tasks.append(Task(name, constant, (), name, {"values": parameter}, onnx_nodes=task.onnx_nodes))
            inputs = (name, *task.inputs) if task.operator.first else (*task.inputs, name)
            task = replace(task, operator=task.operator.combined, inputs=inputs, parameters={})
        tasks.append(task)
    return replace(graph, tensors=tensors, tasks=tuple(tasks))

"""Let no task read two inputs of the model at once: there is one port for them. All but one are brought on chip before."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from ..ops.move import Move, move
from ..task_graph import Task, TaskGraph, Tensor


def apply(graph: TaskGraph) -> TaskGraph:
    """A Move that changes nothing before every further input that some task reads."""
    tasks: list[Task] = []
    tensors = dict(graph.tensors)
    copies: dict[str, str] = {}
    for task in graph.tasks:
        names = list(task.inputs)
        first = next((name for name in names if name in graph.inputs), "")
        for number, name in enumerate(names):
            if name not in graph.inputs or name == first:
                continue
            if name not in copies:
                copies[name] = f"{name}, on chip"
                tasks.append(copy(tensors[name], copies[name], copies[name], task.onnx_nodes))
                tensors[copies[name]] = replace(tensors[name], name=copies[name])
            names[number] = copies[name]
        tasks.append(replace(task, inputs=tuple(names)))
    return replace(graph, tensors=tensors, tasks=tuple(tasks))


def copy(tensor: Tensor, output: str, name: str, onnx_nodes: tuple[str, ...]) -> Task:
    """A Move that changes nothing."""
    operator = move(np.arange(prod(tensor.shape), dtype=np.int64).reshape(tensor.shape), tensor.channel_axis)
    assert isinstance(operator, Move)  # one counter
    return Task(name, operator, (tensor.name,), output, onnx_nodes=onnx_nodes)

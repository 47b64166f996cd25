"""Make a clamp that no task could absorb a task with a clamp that changes nothing else.

Behind an input of the graph or a change of places that is a Move, which lower_moves makes one with the move before. Elsewhere an
average over single pixels of images, and otherwise the larger of a value and itself: these can be fed by the task before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.average_pool import AveragePool
from ..ops.clamp import Clamp
from ..ops.combine import Max
from ..ops.move import Move, move
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import Task, TaskGraph


def apply(graph: TaskGraph) -> TaskGraph:
    """Change the operator of every clamp."""
    return graph.with_tasks(tuple(_lowered(graph, task) for task in graph.tasks))


def _lowered(graph: TaskGraph, task: Task) -> Task:
    if not isinstance(task.operator, Clamp):
        return task
    before, tensor = graph.tensors[task.inputs[0]], graph.output_tensor(task)
    producer = graph.producers.get(before.name)
    moved = producer is None or isinstance(producer.operator, Move | Reshape | Transpose)
    if moved and tensor.format in (None, before.format):  # a move keeps the format
        order = np.arange(tensor.pixels * tensor.channels, dtype=np.int64).reshape(tensor.shape)
        stays = move(order, tensor.channel_axis)
        assert stays is not None
        return replace(task, operator=stays)
    if tensor.channel_axis == 1 and len(tensor.shape) in (3, 4):
        return replace(task, operator=AveragePool((1, 1)))
    return replace(task, operator=Max(), inputs=task.inputs * 2)

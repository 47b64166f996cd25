"""Make a clamp that no task could absorb (say, on the graph's input) a task with a clamp that changes nothing else.

That is an average over single pixels of images, and elsewhere the larger of a value and itself.
"""

from __future__ import annotations

from dataclasses import replace

from ..ops.average_pool import AveragePool
from ..ops.clamp import Clamp
from ..ops.combine import Max
from ..task_graph import Task, TaskGraph


def apply(graph: TaskGraph) -> TaskGraph:
    """Change the operator of every clamp."""
    return graph.with_tasks(tuple(_lowered(graph, task) for task in graph.tasks))


def _lowered(graph: TaskGraph, task: Task) -> Task:
    tensor = graph.output_tensor(task)
    is_image = tensor.channel_axis == 1 and len(tensor.shape) in (3, 4)
    if not isinstance(task.operator, Clamp):
        return task
    if is_image:
        return replace(task, operator=AveragePool((1, 1)))
    return replace(task, operator=Max(), inputs=task.inputs * 2)

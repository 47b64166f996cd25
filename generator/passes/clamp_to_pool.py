"""Make a clamp that no task could absorb (say, on the graph's input) an average over single pixels, with a clamp."""

from __future__ import annotations

from dataclasses import replace

from ..ops.average_pool import AveragePool
from ..ops.clamp import Clamp
from ..task_graph import Task, TaskGraph


def apply(graph: TaskGraph) -> TaskGraph:
    """Change the operator of every clamp on images."""
    return graph.with_tasks(tuple(_lowered(graph, task) for task in graph.tasks))


def _lowered(graph: TaskGraph, task: Task) -> Task:
    tensor = graph.output_tensor(task)
    is_image = tensor.channel_axis == 1 and len(tensor.shape) in (3, 4)
    return (
        replace(task, operator=AveragePool((1, 1))) if isinstance(task.operator, Clamp) and is_image else task
    )

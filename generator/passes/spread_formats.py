"""Give formats of the model itself to the tensors around that hold the same values.

QuantizeLinear may stand behind a Reshape or a MaxPool, or only before it; the tensors on both sides then lie on one grid.
"""

from __future__ import annotations

from dataclasses import replace

from ..fixed_point import FixedPoint
from ..ops.clamp import Clamp
from ..ops.max_pool import MaxPool
from ..ops.move import Move
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import TaskGraph


def apply(graph: TaskGraph) -> TaskGraph:
    """Forwards through all tasks that make no new values, then backwards where nothing else reads the input."""
    formats = {name: tensor.format for name, tensor in graph.tensors.items()}
    moving = [task for task in graph.tasks if isinstance(task.operator, MaxPool | Move | Reshape | Transpose)]
    for task in graph.tasks:
        if task in moving or isinstance(task.operator, Clamp):
            formats[task.output] = formats[task.output] or formats[task.inputs[0]]
    for task in reversed(moving):
        name = task.inputs[0]
        if graph.consumers[name] == (task,) and name not in graph.outputs:
            formats[name] = formats[name] or formats[task.output]
    return _with_formats(graph, formats)


def _with_formats(graph: TaskGraph, formats: dict[str, FixedPoint | None]) -> TaskGraph:
    tensors = {name: replace(tensor, format=formats[name]) for name, tensor in graph.tensors.items()}
    return replace(graph, tensors=tensors)

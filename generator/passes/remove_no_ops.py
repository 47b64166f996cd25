"""Remove tasks that change nothing: a Reshape to the same shape, a factor of 1 with a summand of 0, no clamp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.clamp import Clamp
from ..ops.reshape import Reshape
from ..task_graph import UNBOUNDED, Task, TaskGraph
from .rewrite import with_shapes


def apply(graph: TaskGraph) -> TaskGraph:
    """Readers of the result read the task's input; a graph output keeps its name, which its producer takes over."""
    while (task := next((task for task in graph.tasks if _can_go(graph, task)), None)) is not None:
        graph = _without(graph, task)
    return graph


def _can_go(graph: TaskGraph, task: Task) -> bool:
    promised = task.output in graph.outputs and task.inputs[0] in (*graph.inputs, *graph.outputs)
    return _changes_nothing(graph, task) and not promised


def _changes_nothing(graph: TaskGraph, task: Task) -> bool:
    if task.clamp != UNBOUNDED:
        return False
    match task.operator:
        case Reshape():
            before, after = graph.tensors[task.inputs[0]], graph.output_tensor(task)
            return (before.shape, before.channel_axis) == (after.shape, after.channel_axis)
        case Affine():
            return bool(np.all(task.values["scale"] == 1) and np.all(task.values["shift"] == 0))
        case Clamp():
            return True
        case _:
            return False


def _without(graph: TaskGraph, task: Task) -> TaskGraph:
    old, new = task.output, task.inputs[0]
    if old in graph.outputs:
        old, new = new, old
    tasks = tuple(
        replace(
            other,
            inputs=tuple(new if name == old else name for name in other.inputs),
            output=new if other.output == old else other.output,
        )
        for other in graph.tasks
        if other.output != task.output
    )
    return with_shapes(graph, tasks)

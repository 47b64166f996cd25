"""Move a clamp from behind a Reshape to the front of it, next to the task that can absorb it.

The clamp's result keeps its ONNX name but has the shape before the Reshape: the same values in C order.
"""

from __future__ import annotations

from dataclasses import replace

from ..ops.clamp import Clamp
from ..ops.reshape import Reshape
from ..task_graph import Task, TaskGraph
from .rewrite import exclusive_producer, with_shapes


def apply(graph: TaskGraph) -> TaskGraph:
    """Swap until every clamp has something else before it."""
    for task in graph.tasks:
        while (reshape := _reshape_before(graph, task)) is not None:
            task, graph = _swap(graph, reshape, task)
    return graph


def _reshape_before(graph: TaskGraph, task: Task) -> Task | None:
    """The Reshape whose result only this clamp reads, if both results are free to change."""
    if not isinstance(task.operator, Clamp) or task.output in graph.outputs:
        return None
    producer = exclusive_producer(graph, task)
    return producer if producer is not None and isinstance(producer.operator, Reshape) else None


def _swap(graph: TaskGraph, reshape: Task, clamp: Task) -> tuple[Task, TaskGraph]:
    reshaped = f"{clamp.output}, reshaped"
    first = replace(clamp, inputs=reshape.inputs)
    second = replace(reshape, inputs=(clamp.output,), output=reshaped)
    tasks: list[Task] = []
    for task in graph.tasks:
        if task is reshape:
            tasks += [first, second]
        elif task is not clamp:
            inputs = tuple(reshaped if name == clamp.output else name for name in task.inputs)
            tasks.append(replace(task, inputs=inputs) if inputs != task.inputs else task)
    return first, with_shapes(graph, tuple(tasks))

"""Move a clamp from behind a Reshape to the front of it, next to the task that can absorb it.

The clamp's result keeps its ONNX name but has the shape before the Reshape: the same values in C order.
"""

from __future__ import annotations

from dataclasses import replace

from ..ops.clamp import Clamp
from ..ops.reshape import Reshape
from ..task_graph import Task, TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Swap until every clamp has something else before it."""
    draft = Draft(graph)
    for output in [task.output for task in graph.tasks]:
        clamp = draft.producers[output]
        while (reshape := _reshape_before(draft, clamp)) is not None:
            clamp = _swap(draft, reshape, clamp)
    return draft.graph()


def _reshape_before(draft: Draft, task: Task) -> Task | None:
    """The Reshape whose result only this clamp reads, if both results are free to change."""
    if not isinstance(task.operator, Clamp) or task.output in draft.outputs:
        return None
    producer = draft.exclusive_producer(task)
    return producer if producer is not None and isinstance(producer.operator, Reshape) else None


def _swap(draft: Draft, reshape: Task, clamp: Task) -> Task:
    """The clamp in its new place."""
    reshaped = f"{clamp.output}, reshaped"
    first = replace(clamp, inputs=reshape.inputs)
    second = replace(reshape, inputs=(clamp.output,), output=reshaped)
    readers = {
        task: replace(task, inputs=tuple(reshaped if name == clamp.output else name for name in task.inputs))
        for task in draft.readers(clamp.output)
    }
    draft.replace({reshape: first, clamp: second, **readers})
    return first

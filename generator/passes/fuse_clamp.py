"""Fuse Relu and Clip into the task before them: rounding is monotone, so its output cast can clamp."""

from __future__ import annotations

from dataclasses import replace

from ..ops.clamp import Clamp
from ..ops.move import Move
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Fuse where nothing else reads the unclamped result."""
    draft = Draft(graph)
    for output in [task.output for task in graph.tasks]:
        task = draft.producers.get(output)
        if task is None or not isinstance(task.operator, Clamp):
            continue
        producer = draft.exclusive_producer(task)
        if producer is not None and not isinstance(producer.operator, Move | Reshape | Transpose):
            clamp = clamped(producer.clamp, task.clamp)
            draft.merge_into_producer(producer, task, replace(producer, clamp=clamp))
    return draft.graph()


def clamped(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Bounds that do what both do, one after the other; a single value where they do not overlap."""
    low, high = (min(max(bound, second[0]), second[1]) for bound in first)
    return low, high

"""Remove tasks that change nothing: a Reshape to the same shape, a factor of 1 with a summand of 0, no clamp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.clamp import Clamp
from ..ops.reshape import Reshape
from ..task_graph import UNBOUNDED, Task, TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Readers of the result read the task's input; a graph output keeps its name, which its producer takes over."""
    draft = Draft(graph)
    for output in [task.output for task in graph.tasks]:
        task = draft.producers[output]
        if _can_go(draft, task):
            _remove(draft, task)
    return draft.graph()


def _can_go(draft: Draft, task: Task) -> bool:
    promised = task.output in draft.outputs and task.inputs[0] in draft.inputs | draft.outputs
    return _changes_nothing(draft, task) and not promised


def _changes_nothing(draft: Draft, task: Task) -> bool:
    before_number, after_number = (draft.tensors[name].format for name in (task.inputs[0], task.output))
    if task.clamp != UNBOUNDED or (after_number is not None and before_number != after_number):
        return False
    match task.operator:
        case Reshape():
            before, after = draft.tensors[task.inputs[0]], draft.tensors[task.output]
            return (before.shape, before.channel_axis) == (after.shape, after.channel_axis)
        case Affine():
            return bool(np.all(task.values["scale"] == 1) and np.all(task.values["shift"] == 0))
        case Clamp():
            return True
        case _:
            return False


def _remove(draft: Draft, task: Task) -> None:
    old, new = task.output, task.inputs[0]
    concerned = draft.readers(old)
    if old in draft.outputs:
        old, new = new, old
        concerned = (draft.producers[old], *(reader for reader in draft.readers(old) if reader is not task))
    changes = {
        other: replace(
            other,
            inputs=tuple(new if name == old else name for name in other.inputs),
            output=new if other.output == old else other.output,
        )
        for other in concerned
    }
    draft.replace({task: None, **changes})

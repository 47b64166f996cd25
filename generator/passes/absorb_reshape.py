"""Let a Dense over a whole sample read the tensor before a Flatten, Reshape or Transpose.

It flattens in C order itself; for a Transpose its weights are put into the order before it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.dense import Dense
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import UNBOUNDED, Parameter, Task, TaskGraph
from .rewrite import merge_into_reader


def apply(graph: TaskGraph) -> TaskGraph:
    """Absorb until no Dense over a whole sample reads a changed shape."""
    for name in [task.name for task in graph.tasks if task.operator == Dense(axis=1)]:
        while (change := _change_before(graph, graph.task(name))) is not None:
            graph = _absorb(graph, change, graph.task(name))
    return graph


def _change_before(graph: TaskGraph, dense: Task) -> Task | None:
    producer = graph.producers.get(dense.inputs[0])
    if producer is None or producer.clamp != UNBOUNDED:
        return None
    return producer if isinstance(producer.operator, Reshape | Transpose) else None


def _absorb(graph: TaskGraph, change: Task, dense: Task) -> TaskGraph:
    if not isinstance(change.operator, Transpose):
        return merge_into_reader(graph, change, dense, dense)
    perm = change.operator.perm
    weight = dense.values["weight"]
    permuted = weight.reshape(-1, *graph.output_tensor(change).shape[1:]).transpose(np.argsort(perm))
    parameters = {**dense.parameters, "weight": Parameter(permuted.reshape(weight.shape))}
    return merge_into_reader(graph, change, dense, replace(dense, parameters=parameters))

"""Let a Dense over a whole sample read the tensor before a Flatten, Reshape or Transpose.

It flattens in C order itself; for a Transpose its weights are put into the order before it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.dense import Dense
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import UNBOUNDED, Task, TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Absorb until no Dense over a whole sample reads a changed shape."""
    draft = Draft(graph)
    for dense in graph.tasks:
        if dense.operator == Dense(axis=1):
            while (change := _change_before(draft, dense)) is not None:
                dense = _absorb(draft, change, dense)
    return draft.graph()


def _change_before(draft: Draft, dense: Task) -> Task | None:
    producer = draft.producers.get(dense.inputs[0])
    if producer is None or producer.clamp != UNBOUNDED or draft.rounds_between(producer):
        return None
    return producer if isinstance(producer.operator, Reshape | Transpose) else None


def _absorb(draft: Draft, change: Task, dense: Task) -> Task:
    if not isinstance(change.operator, Transpose):
        return draft.merge_into_reader(change, dense, dense)
    perm = change.operator.perm
    weight = dense.values["weight"]
    permuted = weight.reshape(-1, *draft.tensors[change.output].shape[1:]).transpose(np.argsort(perm))
    parameters = {
        **dense.parameters,
        "weight": replace(dense.parameters["weight"], values=permuted.reshape(weight.shape)),
    }
    return draft.merge_into_reader(change, dense, replace(dense, parameters=parameters))

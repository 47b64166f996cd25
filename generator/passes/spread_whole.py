"""Mark what is made of whole numbers, and is whole itself: quantisation then gives it steps of 1, and no rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.clamp import Clamp
from ..ops.combine import Combine
from ..ops.dense import Dense
from ..ops.matmul import MatMul
from ..ops.max_pool import MaxPool
from ..ops.move import Move
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..ops.with_constant import WithConstant
from ..task_graph import Task, TaskGraph

_EXACT = (Affine, Clamp, Combine, Dense, MatMul, MaxPool, Move, Reshape, Transpose, WithConstant)
"""Operators without division, and without tables."""


def apply(graph: TaskGraph) -> TaskGraph:
    """Forwards; tensors that the model itself quantises have their formats already."""
    tensors = dict(graph.tensors)
    for task in graph.tasks:
        known = tensors[task.output]
        whole = all(tensors[name].kind for name in task.inputs) and _keeps_whole(task)
        if whole and not known.kind and known.format is None:
            tensors[task.output] = replace(known, kind="float32")
    return replace(graph, tensors=tensors)


def _keeps_whole(task: Task) -> bool:
    scalars = [bound for bound in task.clamp if np.isfinite(bound)]
    if isinstance(task.operator, Move):
        scalars.append(task.operator.fill)
    numbers = [np.asarray(values, np.float64) for values in (*task.values.values(), scalars)]
    return isinstance(task.operator, _EXACT) and all(
        np.array_equal(values, np.rint(values)) for values in numbers
    )

"""What only moves values becomes Move: a Reshape or Transpose that no other task absorbed; chains of Moves become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from ..nest import FILL, Indices
from ..ops.move import Move, move
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import UNBOUNDED, Task, TaskGraph, Tensor
from .fuse_clamp import clamped


def apply(graph: TaskGraph) -> TaskGraph:
    """Moves for all of them, each reading as far back as possible; those that nothing reads any more go."""
    tensors = dict(graph.tensors)
    made: dict[str, Task] = {}
    same: dict[str, str] = {}  # result of a Move that changes nothing -> what it reads
    for task in graph.tasks:
        task = replace(task, inputs=tuple(same.get(name, name) for name in task.inputs))
        task = _as_move(task, tensors)
        while (merged := _merged(task, made)) is not None:
            task = merged
        shape, axis = task.operator.infer([tensors[name] for name in task.inputs], task.values)
        tensors[task.output] = replace(tensors[task.output], shape=shape, channel_axis=axis)
        if task.output not in graph.outputs and _changes_nothing(task, tensors):
            same[task.output] = task.inputs[0]
        else:
            made[task.output] = task
    needed = set(graph.outputs)
    kept: list[Task] = []
    for task in reversed(made.values()):
        if task.output in needed or not isinstance(task.operator, Move):
            kept.append(task)
            needed.update(task.inputs)
    return replace(graph, tensors=tensors).with_tasks(tuple(reversed(kept)))


def _as_move(task: Task, tensors: Mapping[str, Tensor]) -> Task:
    if not isinstance(task.operator, Reshape | Transpose):
        return task
    x, axis = tensors[task.inputs[0]], tensors[task.output].channel_axis
    match task.operator:
        case Reshape(shape=shape):
            moved = move(_order(x).reshape(shape), axis)
        case Transpose(perm=perm):
            moved = move(_order(x).transpose(perm), axis)
    assert moved is not None  # permutations of axes are nests
    return replace(task, operator=moved)


def _order(x: Tensor) -> Indices:
    order: Indices = np.arange(prod(x.shape), dtype=np.int64).reshape(x.shape)
    return order


def _merged(task: Task, made: Mapping[str, Task]) -> Task | None:
    """The same values straight from what the Move before reads; None if there is none, or no nest for both."""
    outer = task.operator
    if not isinstance(outer, Move):
        return None
    before = made.get(task.inputs[0])
    if before is None or not isinstance(before.operator, Move):
        return None
    inner = before.operator.nest.indices()
    found = inner[np.maximum(outer.indices, 0)]
    put, put_before = outer.indices == FILL, found == FILL
    fill = outer.fill if put.any() else before.operator.fill
    low, high = before.clamp
    if put.any() and not (low <= fill <= high and (fill == before.operator.fill or not put_before.any())):
        return None
    both = move(np.where(put, FILL, found), outer.channel_axis, fill)
    if both is None:
        return None
    return replace(
        task,
        operator=both,
        inputs=before.inputs,
        clamp=clamped(before.clamp, task.clamp),
        onnx_nodes=before.onnx_nodes + task.onnx_nodes,
    )


def _changes_nothing(task: Task, tensors: Mapping[str, Tensor]) -> bool:
    if not isinstance(task.operator, Move):
        return False
    x, y = tensors[task.inputs[0]], tensors[task.output]
    return (
        (x.shape, x.channel_axis) == (y.shape, y.channel_axis)
        and y.format in (None, x.format)
        and task.clamp == UNBOUNDED
        and np.array_equal(task.operator.nest.indices(), np.arange(prod(x.shape)))
    )

"""Fuse element-wise operators of one tensor into one table: GELU, SiLU and the like, however an exporter writes them.

    x / sqrt(2) -> Erf -> + 1 -> * x -> * 0.5        x * Sigmoid(x)        x * Clip(x + 3, 0, 6) / 6

A table of the whole is as cheap as one of a single step, and rounds once. So there is no list of patterns: whatever
depends on one tensor only, element by element, is a function. Factors and clamps that a layer before the function can
take for nothing stay out of it.
"""

from __future__ import annotations

import numpy as np

from ..ops.affine import Affine
from ..ops.clamp import Clamp
from ..ops.combine import Combine
from ..ops.conv import Conv
from ..ops.dense import Dense
from ..ops.function import COMBINATIONS, Function, Step, affine, call, clamp, combination, inlined
from ..ops.reshape import Reshape
from ..ops.table import Table
from ..ops.transpose import Transpose
from ..task_graph import UNBOUNDED, Task, TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Fuse until nothing is left to fuse."""
    roots = _roots(graph)
    draft = Draft(graph)
    for output in [task.output for task in reversed(graph.tasks)]:
        task = draft.producers.get(output)
        if task is not None and _is_last(draft, task, roots):
            _fuse(draft, task, roots)
    return draft.graph()


def _roots(graph: TaskGraph) -> dict[str, str]:
    """For each tensor, the one that it is a function of, element by element, as far back as possible."""
    roots = {name: name for name in graph.inputs}
    for task in graph.tasks:
        sources = {_root_for_readers(graph, roots, name) for name in task.inputs}
        roots[task.output] = sources.pop() if _is_elementwise(task) and len(sources) == 1 else task.output
    return roots


def _root_for_readers(graph: TaskGraph, roots: dict[str, str], tensor: str) -> str:
    """The root of a tensor, for those that read it: itself where the model asks for its rounding."""
    return tensor if graph.tensors[tensor].format is not None else roots[tensor]


def _is_elementwise(task: Task) -> bool:
    """True if each result depends on one element of each operand, in the same way for all elements."""
    if isinstance(task.operator, Affine):
        return all(np.unique(task.values[role]).size == 1 for role in ("scale", "shift"))
    return isinstance(task.operator, Table | Clamp) or task.operator.name in COMBINATIONS


def _is_last(draft: Draft, task: Task, roots: dict[str, str]) -> bool:
    """True if the task's result is needed for more than functions of the same tensor."""
    root = roots[task.output]
    readers = draft.readers(task.output)
    return root != task.output and (
        task.output in draft.outputs or any(roots[reader.output] != root for reader in readers)
    )


def _fuse(draft: Draft, last: Task, roots: dict[str, str]) -> None:
    """Make `last` a function of its root, or of a tensor as near to the root as is worth it."""
    if draft.tensors[last.output].kind:
        return  # whole numbers are exact without a table
    members = _members(draft, last, roots[last.output])
    source = roots[last.output]
    while len(members) > 1 and _stays_out(draft, members[0], source):
        source = members.pop(0).output
    if len(members) < 2 or not any(isinstance(task.operator, Table | Combine) for task in members):
        return
    nodes = tuple(node for task in members for node in task.onnx_nodes)
    operator = Function(_steps(members, source))
    fused = Task(last.name, operator, (source,), last.output, onnx_nodes=nodes)
    draft.replace({last: fused})
    for task in reversed(members[:-1]):
        if not draft.is_needed(task.output):
            draft.replace({task: None})


def _members(draft: Draft, last: Task, root: str) -> list[Task]:
    """The tasks from a root, exclusive, to the last one, in order."""
    needed, waiting = {last.output}, [last]
    while waiting:
        new = set(waiting.pop().inputs) - needed - {root}
        needed |= new
        waiting += (draft.producers[name] for name in new)
    return list(draft.makers(needed))


def _stays_out(draft: Draft, first: Task, source: str) -> bool:
    """True if the first member is all that reads the source, and the task that makes the source can take it over."""
    producer = draft.producers.get(source)
    if producer is None or draft.only_reader(source) is not first:
        return False
    if draft.tensors[source].format is not None:
        return False
    match first.operator:
        case Clamp():
            return not isinstance(producer.operator, Reshape | Transpose)
        case Affine():
            return isinstance(producer.operator, Conv | Dense | Affine) and producer.clamp == UNBOUNDED
        case _:
            return False


def _steps(members: list[Task], source: str) -> tuple[Step, ...]:
    """The members as steps on the values that they make: 0 is the source."""
    steps: list[Step] = []
    number = {source: 0}
    for task in members:
        made = len(steps)
        operands = tuple(number[name] for name in task.inputs)
        match task.operator:
            case Affine():
                scale, shift = (float(task.values[role].flat[0]) for role in ("scale", "shift"))
                steps.append(affine(scale, shift, operands[0]))
            case Function():
                steps += inlined(task.operator, operands[0], len(steps))
            case Table():
                steps.append(call(task.operator, operands[0]))
            case Combine():
                steps.append(combination(task.operator.name, operands))
        result = len(steps) if len(steps) > made else operands[0]  # a Clamp is nothing but its bounds
        if task.clamp != UNBOUNDED:
            steps.append(clamp(task.clamp, result))
            result = len(steps)
        number[task.output] = result
    return tuple(steps)

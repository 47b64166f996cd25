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
from ..ops.function import Function, Step, affine, call, clamp, combination, inlined
from ..ops.reshape import Reshape
from ..ops.table import Table
from ..ops.transpose import Transpose
from ..task_graph import UNBOUNDED, Task, TaskGraph
from .rewrite import with_shapes


def apply(graph: TaskGraph) -> TaskGraph:
    """Fuse until nothing is left to fuse."""
    roots = _roots(graph)
    for output in [task.output for task in reversed(graph.tasks)]:
        task = graph.producers.get(output)
        if task is not None and _is_last(graph, task, roots):
            graph = _fuse(graph, task, roots)
    return graph


def _roots(graph: TaskGraph) -> dict[str, str]:
    """For each tensor, the one that it is a function of, element by element, as far back as possible."""
    roots = {name: name for name in graph.inputs}
    for task in graph.tasks:
        sources = {roots[name] for name in task.inputs}
        roots[task.output] = sources.pop() if _is_elementwise(task) and len(sources) == 1 else task.output
    return roots


def _is_elementwise(task: Task) -> bool:
    """True if each result depends on one element of each operand, in the same way for all elements."""
    if isinstance(task.operator, Affine):
        return all(np.unique(task.values[role]).size == 1 for role in ("scale", "shift"))
    return isinstance(task.operator, Table | Clamp | Combine)


def _is_last(graph: TaskGraph, task: Task, roots: dict[str, str]) -> bool:
    """True if the task's result is needed for more than functions of the same tensor."""
    root = roots[task.output]
    readers = graph.consumers[task.output]
    return root != task.output and (
        task.output in graph.outputs or any(roots[reader.output] != root for reader in readers)
    )


def _fuse(graph: TaskGraph, last: Task, roots: dict[str, str]) -> TaskGraph:
    """The graph with `last` as a function of its root, or of a tensor as near to the root as is worth it."""
    members = _members(graph, last, roots[last.output])
    source = roots[last.output]
    while len(members) > 1 and _stays_out(graph, members, source):
        source = members.pop(0).output
    if len(members) < 2 or not any(isinstance(task.operator, Table | Combine) for task in members):
        return graph
    nodes = tuple(node for task in members for node in task.onnx_nodes)
    operator = Function(_steps(members, source))
    fused = Task(last.name, operator, (source,), last.output, onnx_nodes=nodes)
    graph = with_shapes(graph, tuple(fused if task is last else task for task in graph.tasks))
    return _without_dead(graph, members[:-1])


def _members(graph: TaskGraph, last: Task, root: str) -> list[Task]:
    """The tasks from a root, exclusive, to the last one, in order."""
    needed = {last.output}
    for task in reversed(graph.tasks):
        if task.output in needed and task.output != root:
            needed.update(task.inputs)
    return [task for task in graph.tasks if task.output in needed - {root}]


def _stays_out(graph: TaskGraph, members: list[Task], source: str) -> bool:
    """True if the first member is all that reads the source, and the task that makes the source can take it over."""
    first, producer = members[0], graph.producers.get(source)
    if producer is None or graph.consumers[source] != (first,) or source in graph.outputs:
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


def _without_dead(graph: TaskGraph, candidates: list[Task]) -> TaskGraph:
    """The graph without those of the tasks whose results nothing needs any more."""
    for task in reversed(candidates):
        if not graph.consumers[task.output] and task.output not in graph.outputs:
            graph = with_shapes(graph, tuple(other for other in graph.tasks if other is not task))
    return graph

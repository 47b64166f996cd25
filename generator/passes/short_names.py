"""Readable task names.

1. A name of over 24 characters, or one that joins several names (tf2onnx writes `a;b;c`), is replaced by the
   operator and a number: conv1, add2. The ONNX nodes that the task stands for keep their names.
2. Other names stay.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..task_graph import TaskGraph

_LONGEST = 24


def apply(graph: TaskGraph) -> TaskGraph:
    """The graph with every long task name replaced."""
    kept = {task.name for task in graph.tasks if _readable(task.name)}
    counts: Counter[str] = Counter()
    tasks = []
    for task in graph.tasks:
        name = task.name
        while not _readable(name):
            kind = task.operator.name.lower()
            counts[kind] += 1
            candidate = f"{kind}{counts[kind]}"
            name = candidate if candidate not in kept else name
        tasks.append(replace(task, name=name))
    return graph.with_tasks(tuple(tasks))


def _readable(name: str) -> bool:
    return len(name) <= _LONGEST and ";" not in name

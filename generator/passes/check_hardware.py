"""Check that the hardware has a unit for every task that is left."""

from __future__ import annotations

from ..errors import IntarsiaError
from ..task_graph import Task, TaskGraph


def apply(graph: TaskGraph) -> TaskGraph:
    """The graph as it is.

    Raises:
        IntarsiaError: a task cannot run in hardware, or no task is left.
    """
    if not graph.tasks:
        raise IntarsiaError(
            "nothing is left for the accelerator: all nodes are constant, do nothing or run on the host"
        )
    for task in graph.tasks:
        if task.operator.transient:
            raise IntarsiaError(f"node {_nodes(task)}: {task.operator.transient}")
    return graph


def _nodes(task: Task) -> str:
    return " + ".join(repr(name) for name in task.onnx_nodes)

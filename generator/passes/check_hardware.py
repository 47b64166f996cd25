"""Check that the hardware has a unit for every task that is left."""

from __future__ import annotations

from ..errors import IntarsiaError
from ..ops.dense import Dense
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
        source = graph.input_tensors(task)[0]
        rows_of_channels = source.channel_axis == len(source.shape) - 1
        if isinstance(task.operator, Dense) and task.operator.axis > 1 and not rows_of_channels:
            raise IntarsiaError(
                f"node {_nodes(task)}: a matrix product over the last axis of {source.name!r} of shape {source.shape}, "
                f"whose channels are on axis {source.channel_axis}. Supported: after a Flatten, or on rows of features"
            )
    return graph


def _nodes(task: Task) -> str:
    return " + ".join(repr(name) for name in task.onnx_nodes)

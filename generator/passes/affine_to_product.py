"""Make a factor and summand per channel that nothing could take a 1x1 Conv, or a Dense, with a diagonal weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.conv import Conv
from ..ops.dense import Dense
from ..task_graph import Parameter, Task, TaskGraph

MOST_CHANNELS = 256
"""A diagonal costs channels**2 multiplications per pixel: more would be a waste nobody asked for."""


def apply(graph: TaskGraph) -> TaskGraph:
    """Change the operator of every such task."""
    return graph.with_tasks(tuple(_lowered(graph, task) for task in graph.tasks))


def _lowered(graph: TaskGraph, task: Task) -> Task:
    x = graph.output_tensor(task)
    if (
        not isinstance(task.operator, Affine)
        or task.operator.axis != x.channel_axis
        or x.channels > MOST_CHANNELS
    ):
        return task
    diagonal = np.diag(task.values["scale"])
    bias = Parameter(task.values["shift"])
    if len(x.shape) == 4 and x.channel_axis == 1:
        weight = Parameter(diagonal[:, :, np.newaxis, np.newaxis])
        return replace(task, operator=Conv((1, 1)), parameters={"weight": weight, "bias": bias})
    if x.channel_axis == len(x.shape) - 1:
        parameters = {"weight": Parameter(diagonal), "bias": bias}
        return replace(task, operator=Dense(x.channel_axis), parameters=parameters)
    return task

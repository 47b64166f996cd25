"""Make a factor and summand per channel that nothing could take a depthwise 1x1 Conv, or a Dense with a diagonal weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.dense import Dense
from ..ops.depthwise_conv import DepthwiseConv
from ..task_graph import Parameter, Task, TaskGraph

MOST_CHANNELS = 256
"""A diagonal costs channels**2 multiplications per pixel: more would be a waste nobody asked for."""


def apply(graph: TaskGraph) -> TaskGraph:
    """Change the operator of every such task."""
    return graph.with_tasks(tuple(_lowered(graph, task) for task in graph.tasks))


def _lowered(graph: TaskGraph, task: Task) -> Task:
    x = graph.output_tensor(task)
    if not isinstance(task.operator, Affine):
        return task
    axis = task.operator.axis
    bias = Parameter(task.values["shift"])
    if len(x.shape) in (3, 4) and axis == 1:
        weight = Parameter(task.values["scale"].reshape(-1, *[1] * (len(x.shape) - 1)))
        return replace(task, operator=DepthwiseConv((1, 1)), parameters={"weight": weight, "bias": bias})
    if axis == len(x.shape) - 1 and x.shape[axis] <= MOST_CHANNELS:
        parameters = {"weight": Parameter(np.diag(task.values["scale"])), "bias": bias}
        return replace(task, operator=Dense(axis), parameters=parameters)
    return task

"""Make a factor and summand per channel that nothing could take a depthwise 1x1 Conv, or a Dense with a diagonal weight.

Where the diagonal is too large or lies along other axes than the channels, they are constant tensors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.dense import Dense
from ..ops.depthwise_conv import DepthwiseConv
from ..ops.with_constant import WithConstant
from ..task_graph import UNBOUNDED, Parameter, Task, TaskGraph, Tensor

MOST_CHANNELS = 256
"""A diagonal costs channels**2 multiplications per pixel: more would be a waste nobody asked for."""


def apply(graph: TaskGraph) -> TaskGraph:
    """Change the operator of every such task."""
    tensors = dict(graph.tensors)
    tasks: list[Task] = []
    for task in graph.tasks:
        lowered = _lowered(graph, task)
        if isinstance(lowered.operator, Affine):
            for step in _constants(lowered, lowered.operator.axis, graph.output_tensor(lowered)):
                tensors[step.output] = replace(tensors[task.output], name=step.output)
                tasks.append(step)
        else:
            tasks.append(lowered)
    return replace(graph, tensors=tensors, tasks=tuple(tasks))


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


def _constants(task: Task, axis: int, x: Tensor) -> list[Task]:
    """The product with the factors, then the sum with the summands, as far as they change anything."""
    along = [x.shape[axis] if other == axis else 1 for other in range(len(x.shape))]
    steps = [("Mul", task.values["scale"], 1.0), ("Add", task.values["shift"], 0.0)]
    needed = [(name, values) for name, values, neutral in steps if (values != neutral).any()] or [
        ("Add", task.values["shift"])
    ]
    made: list[Task] = []
    source = task.inputs[0]
    for number, (name, values) in enumerate(needed):
        last = number == len(needed) - 1
        constant = np.broadcast_to(values.reshape(along), x.shape)
        result = task.output if last else f"{task.output}, scaled"
        made.append(
            replace(
                task,
                name=task.name if last else f"{task.name}, scaled",
                operator=WithConstant(name),
                inputs=(source,),
                output=result,
                parameters={"constant": Parameter(constant)},
                clamp=task.clamp if last else UNBOUNDED,
            )
        )
        source = result
    return made

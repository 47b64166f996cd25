"""Fold a factor and a summand per input channel into the Dense, or Conv without padding, after it.

    W (s X + t) + b = (W s) X + (W t + b)

Padding puts zeros where t should stand, so a padded Conv takes the factor only if t is 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.convolution import Convolution
from ..ops.dense import Dense
from ..ops.depthwise_conv import DepthwiseConv
from ..task_graph import UNBOUNDED, Parameter, Task, TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Fold into each reader that can take it."""
    draft = Draft(graph)
    for output in [task.output for task in reversed(graph.tasks)]:
        task = draft.producers[output]
        rounded = draft.tensors[output].format is not None
        if not isinstance(task.operator, Affine) or task.clamp != UNBOUNDED or rounded:
            continue
        for reader in draft.readers(output):
            if _takes(reader, task):
                draft.merge_into_reader(task, reader, _fold(draft, task, reader))
    return draft.graph()


def _takes(reader: Task, task: Task) -> bool:
    match reader.operator:
        case Convolution(pads=pads):
            return not any(pads) or not np.any(task.values["shift"])
        case Dense(axis=axis):
            return isinstance(task.operator, Affine) and task.operator.axis >= axis
        case _:
            return False


def _fold(draft: Draft, affine: Task, reader: Task) -> Task:
    shape = draft.tensors[reader.inputs[0]].shape
    first = reader.operator.axis if isinstance(reader.operator, Dense) else 1
    along = [1] * (len(shape) - first)
    along[affine.operator.axis - first if isinstance(affine.operator, Affine) else 0] = -1
    if isinstance(reader.operator, DepthwiseConv):  # its channels are those of the first axis
        along = [-1, *along]
        along[1] = 1
    scale, shift = affine.values["scale"].reshape(along), affine.values["shift"].reshape(along)
    weight = reader.values["weight"]
    unfolded = weight if isinstance(reader.operator, Convolution) else weight.reshape(-1, *shape[first:])
    bias = (unfolded * shift).sum(axis=tuple(range(1, unfolded.ndim))) + reader.values.get("bias", 0.0)
    scaled = (unfolded * scale).reshape(weight.shape)
    steps = reader.parameters["weight"].steps
    if steps is not None:  # a factor that differs by input channel leaves no common step
        steps = steps * abs(scale.flat[0]) if np.unique(np.abs(scale)).size == 1 and scale.all() else None
    return replace(reader, parameters={"weight": Parameter(scaled, steps=steps), "bias": Parameter(bias)})

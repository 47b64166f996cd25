"""Fold a factor and a summand per channel (BatchNormalization, bias Add, ...) into the Conv or Dense before it.

s * (W X + b) + t = (s W) X + (s b + t)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..fixed_point import Floats
from ..ops.affine import Affine
from ..ops.convolution import Convolution
from ..ops.dense import Dense
from ..task_graph import UNBOUNDED, Parameter, Task, TaskGraph
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Fold where nothing else reads the unscaled result, and nothing clamps it."""
    draft = Draft(graph)
    for output in [task.output for task in graph.tasks]:
        task = draft.producers.get(output)
        if task is None or not isinstance(task.operator, Affine):
            continue
        producer = draft.exclusive_producer(task)
        if producer is not None and _takes(draft, producer, task.operator):
            draft.merge_into_producer(producer, task, _fold(producer, task))
    return draft.graph()


def _takes(draft: Draft, producer: Task, affine: Affine) -> bool:
    return (
        isinstance(producer.operator, Convolution | Dense)
        and producer.clamp == UNBOUNDED
        and affine.axis == draft.tensors[producer.output].channel_axis
    )


def _fold(producer: Task, affine: Task) -> Task:
    scale, shift = affine.values["scale"], affine.values["shift"]
    weight = producer.values["weight"]
    bias = producer.values.get("bias", np.zeros(len(weight)))
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return replace(
        producer,
        parameters={
            "weight": Parameter(scaled, steps=_scaled_steps(producer.parameters["weight"].steps, scale)),
            "bias": Parameter(scale * bias + shift),
        },
    )


def _scaled_steps(steps: Floats | None, scale: Floats) -> Floats | None:
    """Steps of weights whose output channels are multiplied; a channel of zeros keeps its own."""
    return None if steps is None else steps * np.where(scale == 0, 1, np.abs(scale))

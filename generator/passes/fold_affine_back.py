"""Fold a factor and a summand per channel (BatchNormalization, bias Add, ...) into the Conv or Dense before it.

s * (W X + b) + t = (s W) X + (s b + t)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops.affine import Affine
from ..ops.convolution import Convolution
from ..ops.dense import Dense
from ..task_graph import UNBOUNDED, Parameter, Task, TaskGraph
from .rewrite import exclusive_producer, merge_into_producer


def apply(graph: TaskGraph) -> TaskGraph:
    """Fold where nothing else reads the unscaled result, and nothing clamps it."""
    for output in [task.output for task in graph.tasks]:
        task = graph.producers.get(output)
        if task is None or not isinstance(task.operator, Affine):
            continue
        producer = exclusive_producer(graph, task)
        if producer is not None and _takes(graph, producer, task.operator):
            graph = merge_into_producer(graph, producer, task, _fold(producer, task))
    return graph


def _takes(graph: TaskGraph, producer: Task, affine: Affine) -> bool:
    return (
        isinstance(producer.operator, Convolution | Dense)
        and producer.clamp == UNBOUNDED
        and affine.axis == graph.output_tensor(producer).channel_axis
    )


def _fold(producer: Task, affine: Task) -> Task:
    scale, shift = affine.values["scale"], affine.values["shift"]
    weight = producer.values["weight"]
    bias = producer.values.get("bias", np.zeros(len(weight)))
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return replace(
        producer, parameters={"weight": Parameter(scaled), "bias": Parameter(scale * bias + shift)}
    )

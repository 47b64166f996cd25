"""Small task graphs for tests, built straight from the dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intarsia import golden
from intarsia.operator import Operator
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.conv import Conv
from intarsia.ops.dense import Dense
from intarsia.ops.max_pool import MaxPool
from intarsia.quantise import QuantiseOptions, quantise
from intarsia.quantise.histogram import histogram
from intarsia.task_graph import UNBOUNDED, Parameter, Task, TaskGraph, Tensor

RELU = (0.0, np.inf)
Layer = tuple[Operator, dict[str, NDArray[Any]], tuple[float, float]]


def chain(
    shape: tuple[int, ...], layers: Sequence[Layer], name: str = "chain", channel_axis: int = 1
) -> TaskGraph:
    """A float graph of layers one after the other: tensors `x`, `t0`, `t1`, ..."""
    tensor = Tensor("x", (1, *shape), channel_axis)
    tensors = {"x": tensor}
    tasks = []
    for number, (operator, parameters, clamp) in enumerate(layers):
        out_shape, channel_axis = operator.infer([tensor], parameters)
        roles = {role: Parameter(values) for role, values in parameters.items()}
        result = Tensor(f"t{number}", out_shape, channel_axis)
        tasks.append(
            Task(
                f"layer{number}",
                operator,
                (tensor.name,),
                result.name,
                roles,
                clamp,
                (f"/{number}/{operator.name}",),
            )
        )
        tensors[result.name] = tensor = result
    return TaskGraph(name, ("x",), (tensor.name,), tensors, tuple(tasks))


def conv(
    rng: np.random.Generator, channels: int, outputs: int, bias: bool = True, **attributes: Any
) -> Layer:
    """A convolution with random weights."""
    operator = Conv(**attributes)
    parameters = {"weight": rng.normal(0, 0.3, (outputs, channels, *operator.kernel))}
    if bias:
        parameters["bias"] = rng.normal(0, 0.3, outputs)
    return operator, parameters, RELU


def dense(rng: np.random.Generator, depth: int, outputs: int, bias: bool = True, axis: int = 1) -> Layer:
    """A fully-connected layer with random weights."""
    parameters = {"weight": rng.normal(0, 0.3, (outputs, depth))}
    if bias:
        parameters["bias"] = rng.normal(0, 0.3, outputs)
    return Dense(axis), parameters, UNBOUNDED


def small_cnn(seed: int = 0) -> TaskGraph:
    """Every operator, with pads, strides and clamps: 2 x 12 x 10 images to 5 values."""
    rng = np.random.default_rng(seed)
    return chain(
        (2, 12, 10),
        [
            conv(rng, 2, 4, kernel=(3, 3), pads=(1, 1, 1, 1)),
            (MaxPool((2, 2), (2, 2)), {}, UNBOUNDED),
            (*conv(rng, 4, 3, kernel=(2, 3), pads=(0, 1, 1, 0))[:2], (-0.4, 0.9)),
            (AveragePool((3, 2), (1, 2), pads=(1, 0, 0, 0)), {}, UNBOUNDED),
            dense(rng, 3 * 5 * 2, 5),
        ],
        "small_cnn",
    )


def random_inputs(graph: TaskGraph, samples: int = 16, seed: int = 1) -> dict[str, NDArray[np.float64]]:
    """Normal real inputs."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 1, (samples, *graph.tensors[name].shape)) for name in graph.inputs}


def quantised(graph: TaskGraph, options: QuantiseOptions | None = None, seed: int = 1) -> TaskGraph:
    """The graph quantised for its random inputs."""
    trace = golden.run_float(graph, random_inputs(graph, seed=seed))
    statistics = {name: histogram(values) for name, values in trace.items()}
    return quantise(graph, statistics, options or QuantiseOptions())


def stress_inputs(graph: TaskGraph, seed: int = 2) -> dict[str, NDArray[np.int64]]:
    """Raw inputs: zeros, both rails, a checkerboard of rails, and uniform random integers."""
    rng = np.random.default_rng(seed)
    result = {}
    for name in graph.inputs:
        number, shape = graph.tensors[name].number, graph.tensors[name].shape
        checkers = np.where(np.indices(shape).sum(axis=0) % 2 == 0, number.minimum, number.maximum)
        constants = [np.full(shape, value) for value in (0, number.minimum, number.maximum)]
        noise = list(rng.integers(number.minimum, number.maximum, (8, *shape), endpoint=True))
        result[name] = np.stack([*constants, checkers, *noise]).astype(np.int64)
    return result

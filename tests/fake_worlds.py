"""A small quantised network, and worlds with known faults for the verifier to find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from intarsia import golden
from intarsia.arithmetic.requantisation import requantisation
from intarsia.arithmetic.rounding import divide
from intarsia.fixed_point import FixedPoint
from intarsia.ops.conv import Conv
from intarsia.ops.dense import Dense
from intarsia.ops.max_pool import MaxPool
from intarsia.task_graph import Parameter, Task, TaskGraph, Tensor
from intarsia.verify.findings import Batch
from intarsia.verify.golden_runner import GoldenRunner
from intarsia.verify.runner import Array
from intarsia.verify.stimuli import NAMES, stress
from intarsia.verify.worlds import Worlds

INT8 = FixedPoint(8, -6)
RELU = (0.0, float("inf"))


def network(formats: bool = True) -> TaskGraph:
    """image -> conv1 -> pool1 -> conv2 -> conv3 -> fc; conv2 and conv3 give tensors of one shape.

    Without formats, the float network that it approximates.
    """
    generator, noise = np.random.default_rng(1), np.random.default_rng(2)

    def parameter(shape: tuple[int, ...], bits: int, exponent: int, spread: float) -> Parameter:
        number = FixedPoint(bits, exponent)
        values = number.quantise(generator.normal(0, spread, shape))
        if formats:
            return Parameter(values, number)
        return Parameter(number.dequantise(values) + noise.normal(0, number.scale / 4, shape))

    def conv(
        name: str, source: str, channels: tuple[int, int], spread: float, clamp: tuple[float, float]
    ) -> Task:
        parameters = {
            "weight": parameter((channels[1], channels[0], 3, 3), 8, -7, spread),
            "bias": parameter((channels[1],), 32, -13, 0.1),
        }
        return Task(
            name,
            Conv((3, 3), pads=(1, 1, 1, 1)),
            (source,),
            f"{name}_out",
            parameters,
            clamp,
            (f"/{name}/Conv",),
        )

    tasks = (
        conv("conv1", "image", (2, 4), 0.3, RELU),
        Task("pool1", MaxPool((2, 2), (2, 2)), ("conv1_out",), "pool1_out", onnx_nodes=("/pool1/MaxPool",)),
        conv("conv2", "pool1_out", (4, 4), 0.3, RELU),
        conv("conv3", "conv2_out", (4, 4), 0.2, (-float("inf"), float("inf"))),
        Task(
            "fc",
            Dense(),
            ("conv3_out",),
            "scores",
            {"weight": parameter((10, 64), 8, -7, 0.2), "bias": parameter((10,), 32, -13, 0.1)},
        ),
    )
    shapes = {
        "image": (1, 2, 8, 8),
        "conv1_out": (1, 4, 8, 8),
        "pool1_out": (1, 4, 4, 4),
        "conv2_out": (1, 4, 4, 4),
        "conv3_out": (1, 4, 4, 4),
        "scores": (1, 10),
    }
    number = {"scores": FixedPoint(8, -4)}
    tensors = {
        name: Tensor(name, shape, 1, number.get(name, INT8) if formats else None)
        for name, shape in shapes.items()
    }
    return TaskGraph("tiny", ("image",), ("scores",), tensors, tasks)


def with_parameter(graph: TaskGraph, task: str, role: str, change: Callable[[Array], Array]) -> TaskGraph:
    """The graph with one changed parameter."""

    def edit(one: Task) -> Task:
        parameter = one.parameters[role]
        changed = replace(parameter, values=change(parameter.values.copy()))
        return replace(one, parameters={**one.parameters, role: changed})

    return replace(graph, tasks=tuple(edit(one) if one.name == task else one for one in graph.tasks))


def with_operator(graph: TaskGraph, task: str, **changes: object) -> TaskGraph:
    """The graph with changed attributes of one operator."""
    return replace(
        graph,
        tasks=tuple(
            replace(one, operator=replace(one.operator, **changes)) if one.name == task else one  # type: ignore[type-var]
            for one in graph.tasks
        ),
    )


def one_weight(values: Array) -> Array:
    values.reshape(-1)[5] += 9
    return values


def transposed(values: Array) -> Array:
    return np.ascontiguousarray(values.swapaxes(2, 3))


@dataclass(eq=False)
class FaultyRunner:
    """The golden, but one task computes something else, and taps may lie."""

    graph: TaskGraph
    name: str = "csim"
    compute: Mapping[str, Callable[[TaskGraph, Task, list[Array]], Array]] = field(default_factory=dict)
    taps: Callable[[dict[str, Array]], dict[str, Array]] = lambda trace: trace

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        trace: dict[str, Array] = dict(inputs)
        for task in self.graph.tasks:
            run = self.compute.get(task.name, golden.run_task)
            trace[task.output] = run(self.graph, task, [trace[name] for name in task.inputs])
        return self.taps(trace)


def exact_value(graph: TaskGraph, task: Task, inputs: list[Array]) -> tuple[Array, int]:
    """The accumulator, and how far the cast shifts it to the right."""
    found = requantisation(graph, task)
    assert (len(found.shifts), found.divisor) == (1, 1)
    return task.operator.accumulate(inputs, task.values), found.right


def floored(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    values, shift = exact_value(graph, task, inputs)
    found = requantisation(graph, task)
    return np.clip(values >> shift, found.low, found.high)


def wrapped(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    values, shift = exact_value(graph, task, inputs)
    number = graph.output_tensor(task).number
    span = number.maximum - number.minimum + 1
    found = requantisation(graph, task)
    rounded = divide(values, 1, shift)
    return np.clip((rounded - number.minimum) % span + number.minimum, found.low, found.high)


def no_bias(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    return golden.run_task(graph, replace(task, parameters={"weight": task.parameters["weight"]}), inputs)


def swapped(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """Neighbouring channels change places, as bytes of a word would."""
    result = golden.run_task(graph, task, inputs)
    return result.reshape(len(result), 1, -1, 2, 4, 4)[:, :, :, ::-1].reshape(result.shape)


def stale(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
    """A buffer that is read before it is written: the sample before, from the second sample on."""
    result = golden.run_task(graph, task, inputs)
    return np.concatenate([result[:1], result[:-1]])


@dataclass(eq=False)
class FloatRunner:
    """The float network."""

    graph: TaskGraph = field(default_factory=lambda: network(formats=False))
    name: str = "float model"

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        return dict(golden.run_float(self.graph, inputs))


def batches(graph: TaskGraph, samples: int = 24, size: int = 8, stress_vectors: bool = True) -> list[Batch]:
    """Random samples with labels, and the stress vectors."""
    real = np.random.default_rng(7).normal(0, 0.5, (samples, *graph.tensors["image"].shape))
    number = graph.tensors["image"].number
    labels = golden.run_float(network(formats=False), {"image": real})["scores"][:, 0].argmax(axis=1)
    result = [
        Batch(
            {"image": number.quantise(real[start : start + size])},
            {"image": real[start : start + size]},
            labels[start : start + size],
            start,
        )
        for start in range(0, samples, size)
    ]
    if stress_vectors:
        names = tuple(f"stress vector {name!r}" for name in NAMES)
        result.append(Batch(stress([graph.tensors["image"]]), first_sample=samples, names=names))
    return result


def sound_worlds(graph: TaskGraph) -> Worlds:
    return Worlds(
        golden=GoldenRunner(graph),
        float_model=FloatRunner(),
        quantised=GoldenRunner(graph, "ONNX Runtime"),
        csim=FaultyRunner(graph, "csim"),
        board=FaultyRunner(graph, "emulated"),
        emulated=True,
    )

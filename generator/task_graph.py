"""The task graph: what the accelerator computes, one task per piece of hardware work.

Immutable. Passes return new graphs; `dataclasses.replace` makes the copies. The same classes serve the float
model (tensor formats None, parameters real) and the quantised one (every tensor and parameter has a format,
parameters are raw integers).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from .fixed_point import FixedPoint, ParameterFormat

if TYPE_CHECKING:
    from .operator import Operator

UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Tensor:
    """An activation tensor of one sample.

    `shape` is the ONNX shape with the batch axis (axis 0) equal to 1. `channel_axis` is the axis whose
    elements lie side by side in hardware words; the remaining axes, in order, are the pixels. In a float graph a
    `format` is one that the model itself gives the tensor, and that quantisation keeps. `kind` is NumPy's name of the
    type that a tensor of whole numbers has in the model (int64, uint8, bool, ...), and empty for real numbers.
    """

    name: str
    shape: tuple[int, ...]
    channel_axis: int
    format: FixedPoint | None = None
    kind: str = ""

    @property
    def channels(self) -> int:
        """Elements per pixel."""
        return self.shape[self.channel_axis]

    @property
    def pixels(self) -> int:
        """Number of pixels (rows of a matrix, positions of an image)."""
        return math.prod(self.shape) // self.channels

    @property
    def integers(self) -> np.dtype[Any] | None:
        """The type of a tensor that has integers or booleans in the model; None for reals, whole or not."""
        found = np.dtype(self.kind) if self.kind else None
        return found if found is not None and found.kind in "iub" else None

    @property
    def number(self) -> FixedPoint:
        """The number format; only for quantised graphs."""
        if self.format is None:
            raise ValueError(f"tensor {self.name!r} is not quantised")
        return self.format


@dataclass(frozen=True, eq=False)
class Parameter:
    """A constant operand: real values (format None) or raw integers with their format.

    A `ChannelFormat` belongs to the first axis, that of the output channels. Real values that are multiples of steps
    which the model itself gives each output channel have these as `steps`; quantisation keeps them.
    """

    values: NDArray[Any]
    format: ParameterFormat | None = None
    steps: NDArray[np.float64] | None = None

    @cached_property
    def digest(self) -> bytes:
        """Of the values and their shape: equal for equal parameters."""
        return blake2b(repr(self.values.shape).encode() + self.values.tobytes()).digest()

    @property
    def number(self) -> ParameterFormat:
        """The number format; only for quantised parameters."""
        if self.format is None:
            raise ValueError("parameter is not quantised")
        return self.format


@dataclass(frozen=True, eq=False)
class Task:
    """One operator applied to tensors. Its result is rounded once, into the output's format, then clamped.

    `clamp` holds real bounds (ReLU is (0, inf)); they are exact after rounding because rounding is monotone.
    `onnx_nodes` names the nodes of the source model that the task stands for.
    """

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    output: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    clamp: tuple[float, float] = UNBOUNDED
    onnx_nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    @property
    def values(self) -> dict[str, NDArray[Any]]:
        """Parameter values by role."""
        return {role: parameter.values for role, parameter in self.parameters.items()}


@dataclass(frozen=True, eq=False)
class TaskGraph:
    """Tasks in topological order, and the tensors between them.

    Raises:
        ValueError: a tensor is used before it is made, made twice, or unknown.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        made = set(self.inputs)
        for task in self.tasks:
            for name in task.inputs:
                if name not in made:
                    raise ValueError(f"task {task.name!r} reads {name!r} before it is made")
            if task.output in made or task.output not in self.tensors:
                raise ValueError(f"task {task.name!r} makes {task.output!r} again, or it is not declared")
            made.add(task.output)
        if unknown := [
            name for name in (*self.inputs, *self.outputs) if name not in self.tensors or name not in made
        ]:
            raise ValueError(f"graph input or output {unknown[0]!r} is not declared or not made")

    @cached_property
    def producers(self) -> Mapping[str, Task]:
        """Tensor name -> the task that makes it (graph inputs are absent)."""
        return {task.output: task for task in self.tasks}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Task, ...]]:
        """Tensor name -> the tasks that read it, in order."""
        readers: dict[str, list[Task]] = {name: [] for name in self.tensors}
        for task in self.tasks:
            for name in dict.fromkeys(task.inputs):
                readers[name].append(task)
        return {name: tuple(tasks) for name, tasks in readers.items()}

    @cached_property
    def digraph(self) -> nx.DiGraph[str]:
        """Task names as nodes, with an edge from each producer to each consumer (attribute `tensor`)."""
        digraph: nx.DiGraph[str] = nx.DiGraph()
        digraph.add_nodes_from(task.name for task in self.tasks)
        for task in self.tasks:
            for name in task.inputs:
                if name in self.producers:
                    digraph.add_edge(self.producers[name].name, task.name, tensor=name)
        return digraph

    @cached_property
    def by_name(self) -> Mapping[str, Task]:
        """Task name -> task."""
        return {task.name: task for task in self.tasks}

    @cached_property
    def results(self) -> dict[tuple[Any, ...], Any]:
        """What functions of the graph have found, by function and arguments (per_graph.py)."""
        return {}

    def task(self, name: str) -> Task:
        """The task of that name."""
        return self.by_name[name]

    def input_tensors(self, task: Task) -> tuple[Tensor, ...]:
        """Tensors that a task reads, in operand order."""
        return tuple(self.tensors[name] for name in task.inputs)

    def output_tensor(self, task: Task) -> Tensor:
        """Tensor that a task makes."""
        return self.tensors[task.output]

    def with_tasks(self, tasks: tuple[Task, ...], tensors: Mapping[str, Tensor] | None = None) -> TaskGraph:
        """The graph with other tasks; tensors that nothing makes or declares as input are dropped."""
        known = self.tensors if tensors is None else tensors
        made = {*self.inputs, *(task.output for task in tasks)}
        return replace(self, tasks=tasks, tensors={name: known[name] for name in known if name in made})


Trace = dict[str, NDArray[np.int64]]
"""Tensor name -> raw integers of shape (samples, *tensor.shape)."""

"""ONNX Runtime as a world: the float model, and the quantised (QDQ) model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from intarsia.errors import IntarsiaError
from intarsia.onnx_graph.reference_session import reference_session
from intarsia.qdq.model import quantised_tensor_names
from intarsia.task_graph import TaskGraph

from .lone_tasks import LoneTasks
from .runner import Array, Isolated


class ModelError(IntarsiaError):
    """A model file that ONNX Runtime cannot run, or that does not fit the task graph."""


class TracedSession:
    """A model with some of its inner tensors exposed as outputs, on a copy."""

    def __init__(self, path: Path, graph: TaskGraph, names: Mapping[str, str]) -> None:
        """Load the model.

        Args:
            path: the ONNX file.
            graph: the task graph it belongs to.
            names: graph tensor -> the model's tensor; those that the model does not have are not traced.

        Raises:
            ModelError: the file cannot be read or run, or lacks an input of the graph.
        """
        try:
            model = onnx.load(path)
            made = {name for node in model.graph.node for name in node.output} | set(graph.inputs)
            self._graph = graph
            self._names = {tensor: name for tensor, name in names.items() if name in made}
            shown = {output.name for output in model.graph.output}
            inner = {name for name in self._names.values() if name not in graph.inputs} - shown
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(inner))
            self._session = reference_session(model)
        except Exception as error:  # protobuf, onnx and ONNX Runtime share no base class
            raise ModelError(f"ONNX Runtime cannot run {path}: {error}") from error
        axes = {one.name: one.shape[0] for one in self._session.get_inputs() if one.shape}
        if missing := [name for name in graph.inputs if name not in axes]:
            raise ModelError(f"{path} has no input {missing[0]!r}; its inputs are {', '.join(axes)}")
        own = {one.name: tuple(one.shape[1:]) for one in self._session.get_inputs()}
        self._shapes = {
            name: own[name]
            if all(isinstance(size, int) for size in own[name])
            else graph.tensors[name].shape[1:]
            for name in graph.inputs
        }
        self._batched = all(not isinstance(axes[name], int) for name in graph.inputs)

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Tensors for real inputs, both of shape (samples, *tensor shape): at once if the batch axis is free."""
        samples = len(next(iter(values.values())))
        if self._batched:
            return self._run(values, samples)
        parts = [
            self._run({name: value[one : one + 1] for name, value in values.items()}, 1)
            for one in range(samples)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, values: Mapping[str, Array], samples: int) -> dict[str, Array]:
        feed = {
            name: np.asarray(values[name], np.float32).reshape(samples, *self._shapes[name])
            for name in self._graph.inputs
        }
        wanted = [name for name in self._names.values() if name not in feed]
        found = {**feed, **dict(zip(wanted, self._session.run(wanted, feed), strict=True))}
        constant = {task.output for task in self._graph.tasks if not task.inputs}
        result = {}
        for tensor, name in self._names.items():
            shown = np.repeat(found[name], samples, axis=0) if tensor in constant else found[name]
            result[tensor] = shown.reshape(samples, *self._graph.tensors[tensor].shape)
        return result


class FloatRunner:
    """The float model: real values in, real values out."""

    name = "float model"

    def __init__(self, path: Path, graph: TaskGraph) -> None:
        """Load a model whose tensors have the graph's names."""
        self._session = TracedSession(path, graph, {name: name for name in graph.tensors})

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Real values of every tensor."""
        return self._session.run(inputs)


class DenseRunner(FloatRunner):
    """The float model before its weights were made circulant."""

    name = "dense model"


class QuantisedRunner:
    """The QDQ model: raw integers, fetched behind its QuantizeLinear nodes."""

    name = "ONNX Runtime"

    def __init__(self, path: Path, graph: TaskGraph) -> None:
        """Load a QDQ model that was exported from the graph."""
        self._graph = graph
        self._session = TracedSession(path, graph, quantised_tensor_names(graph))
        self._model = onnx.load(path)

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Raw integers of every tensor that the model quantises."""
        real = {
            name: self._graph.tensors[name].number.dequantise(inputs[name]) for name in self._graph.inputs
        }
        return {name: values.astype(np.int64) for name, values in self._session.run(real).items()}

    def isolated(self, trace: Mapping[str, Array]) -> Isolated:
        """What the model makes of each task's inputs as another world has them."""
        return self._lone_tasks.run(trace)

    @cached_property
    def _lone_tasks(self) -> LoneTasks:
        return LoneTasks(self._model, self._graph)

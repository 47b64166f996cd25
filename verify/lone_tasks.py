"""The QDQ model with its tasks apart: each is computed from integers that are given, not from what the one before made.

It judges the golden without the golden's own arithmetic, and behind tasks whose result need not be equal in every bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from intarsia.onnx_graph.reference_session import reference_session
from intarsia.qdq.model import quantised_tensor_names
from intarsia.task_graph import TaskGraph

from .runner import Array, Isolated

_TYPES = {TensorProto.INT8: np.int8, TensorProto.INT16: np.int16, TensorProto.INT32: np.int32}
"""What QuantizeLinear makes in models of ours."""


class LoneTasks:
    """A session whose inputs are all tensors that tasks read, and whose outputs are what each task makes of them."""

    def __init__(self, model: onnx.ModelProto, graph: TaskGraph) -> None:
        """Cut the model apart.

        Args:
            model: QDQ model that was exported from the graph; is changed.
            graph: quantised task graph.
        """
        self._graph = graph
        raw = quantised_tensor_names(graph)
        makers = {node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
        kinds = {
            one.name: _TYPES[one.data_type] for one in model.graph.initializer if one.data_type in _TYPES
        }
        batch = next(one.type.tensor_type.shape.dim[0] for one in model.graph.input)
        self._single = batch.HasField("dim_value")
        read = {name for task in graph.tasks for name in task.inputs}
        constant = {task.output for task in graph.tasks if not task.inputs}
        self._given = {
            name: (f"{raw[name]} as given", kinds[makers[raw[name]].input[2]])
            for name in graph.tensors
            if name in read - constant and raw[name] in makers
        }
        self._raw = {
            task.output: raw[task.output]
            for task in graph.tasks
            if task.inputs and raw[task.output] in makers
        }
        self._unrounded = {
            task.output: makers[raw[task.output]].input[0]
            for task in graph.tasks
            if task.operator.real_error and task.output in self._raw
        }
        renamed = {raw[name]: given for name, (given, _) in self._given.items()}
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = renamed.get(name, name)
        for given, kind in self._given.values():
            model.graph.input.append(
                helper.make_tensor_value_info(given, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), None)
            )
        del model.graph.output[:]
        wanted = sorted({*self._raw.values(), *self._unrounded.values()})
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
        _prune(model)
        self._session = reference_session(model)

    def run(self, trace: Mapping[str, Array]) -> Isolated:
        """What each task makes of its inputs in a trace of raw integers of shape (samples, *tensor shape)."""
        samples = len(next(iter(trace.values())))
        step = 1 if self._single else samples
        parts = [
            self._run({name: values[one : one + step] for name, values in trace.items()}, step)
            for one in range(0, samples, step)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        shapes = {name: (samples, *tensor.shape) for name, tensor in self._graph.tensors.items()}
        raw = {name: found[made].astype(np.int64).reshape(shapes[name]) for name, made in self._raw.items()}
        return Isolated(
            raw,
            {
                name: self._steps(name, found[made]).reshape(shapes[name])
                for name, made in self._unrounded.items()
            },
        )

    def _run(self, trace: Mapping[str, Array], samples: int) -> dict[str, Array]:
        feed = {
            given: trace[name].astype(kind).reshape(samples, *self._graph.tensors[name].shape[1:])
            for name, (given, kind) in self._given.items()
        }
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, feed), strict=True))

    def _steps(self, name: str, real: Array) -> Array:
        """Real values in steps of a tensor, zero point added and within its format, but not rounded."""
        number = self._graph.tensors[name].number
        return np.clip(real / np.float64(number.scale) + number.zero, number.minimum, number.maximum)


def _prune(model: onnx.ModelProto) -> None:
    """Leave out nodes and inputs that no output depends on."""
    needed = {output.name for output in model.graph.output}
    for node in reversed(list(model.graph.node)):
        if needed.isdisjoint(node.output):
            model.graph.node.remove(node)
        else:
            needed |= set(node.input)
    for one in [one for one in model.graph.input if one.name not in needed]:
        model.graph.input.remove(one)

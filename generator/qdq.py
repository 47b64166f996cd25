"""The quantised graph as a standard ONNX model: QuantizeLinear and DequantizeLinear around float operators.

With power-of-two scales every dequantised value, product and sum is a float32 number without rounding, as long as
accumulators stay below 2**24 (quantise/accumulators.py: `float32_exact`). ONNX Runtime without graph optimisations
then gives the integers of the golden, bit for bit; its AveragePool adds up and divides once, correctly rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .fixed_point import ChannelFormat, FixedPoint, ParameterFormat
from .operator import Array
from .requantisation import requantisation
from .task_graph import Task, TaskGraph

OPSET = 21
"""The first in which QuantizeLinear makes int16."""
_IR_VERSION = 10
_CONTAINERS = (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32))


def export_qdq(graph: TaskGraph) -> onnx.ModelProto:
    """The QDQ model of a quantised graph; inputs and outputs are float and keep their names.

    Args:
        graph: quantised task graph.
    """
    builder = QdqBuilder(graph)
    for name in graph.inputs:
        builder.quantise(name, name)
    for task in graph.tasks:
        builder.begin(task)
        result = builder.clamp(task, task.operator.to_qdq(builder, task, graph))
        builder.quantise(task.output, result)
    return builder.model()


def quantised_tensor_names(graph: TaskGraph) -> dict[str, str]:
    """Tensor -> name in the QDQ model of its raw integers (the output of its QuantizeLinear)."""
    names: dict[str, str] = {}
    for tensor in graph.tensors:
        name = f"{tensor}_quantised"
        while name in graph.tensors:
            name += "_"
        names[tensor] = name
    return names


class QdqBuilder:
    """Collects the nodes of a QDQ model; an operator's `to_qdq` gets one."""

    def __init__(self, graph: TaskGraph) -> None:
        self._graph = graph
        self._raw = quantised_tensor_names(graph)
        self._taken = {*graph.tensors, *self._raw.values()}
        self._real: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._prefix = graph.name

    def activation(self, tensor: str) -> str:
        """Name of the dequantised float tensor."""
        return self._real[tensor]

    def parameters(self, task: Task, *roles: str) -> list[str]:
        """Names of the task's dequantised parameters, without the roles that it does not have."""
        names = []
        for role in (role for role in roles if role in task.parameters):
            parameter = task.parameters[role]
            name = f"{task.name}/{role}"
            raw = self.constant(parameter.values.astype(container(parameter.number)), f"{name}_quantised")
            names.append(self._dequantise(raw, parameter.number, name, self._unique(name)))
        return names

    def node(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node of the current task; returns the name of its output."""
        name = self._unique(f"{self._prefix}/{op_type}")
        return self._append(op_type, inputs, f"{name}_output", name, **attributes)

    def constant(self, values: Array, name: str) -> str:
        """Add a constant, named as wished if that name is free; returns its name."""
        name = self._unique(name)
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def number(self, value: float, name: str) -> str:
        """Add a float constant of the current task; returns its name."""
        return self.constant(np.array(value, np.float32), f"{self._prefix}/{name}")

    def begin(self, task: Task) -> None:
        """Name the nodes that follow after a task."""
        self._prefix = task.name

    def clamp(self, task: Task, tensor: str) -> str:
        """Append the task's Relu or Clip, if its clamp is narrower than what QuantizeLinear saturates to."""
        number = self._graph.output_tensor(task).number
        found = requantisation(self._graph, task)
        return self._clip(tensor, number, found.low, found.high)

    def quantise(self, tensor: str, real: str) -> None:
        """Append QuantizeLinear and DequantizeLinear for a tensor whose float values are `real`."""
        number = self._graph.tensors[tensor].number
        if tensor in self._graph.inputs:
            self._prefix = tensor
            real = self._clip(real, number, number.minimum, number.maximum)
        scale = self.constant(np.array(number.scale, np.float32), f"{tensor}_scale")
        zero = self.constant(np.zeros((), container(number)), f"{tensor}_zero_point")
        raw = self._raw[tensor]
        self._append("QuantizeLinear", [real, scale, zero], raw, self._unique(f"{tensor}/QuantizeLinear"))
        is_output = tensor in self._graph.outputs and tensor not in self._graph.inputs
        result = tensor if is_output else self._unique(f"{tensor}_dequantised")
        name = self._unique(f"{tensor}/DequantizeLinear")
        self._real[tensor] = self._append("DequantizeLinear", [raw, scale, zero], result, name)

    def model(self) -> onnx.ModelProto:
        """The checked model.

        Raises:
            onnx.checker.ValidationError: an operator's nodes are not valid ONNX.
        """
        from . import __version__

        graph = helper.make_graph(
            self._nodes,
            self._graph.name,
            [self._float_tensor(name) for name in self._graph.inputs],
            [self._float_tensor(name) for name in self._graph.outputs],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="intarsia",
            producer_version=__version__,
            doc_string="Quantised: every scale is a power of two, every zero point 0. Run without graph optimisations.",
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _float_tensor(self, name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["batch", *self._graph.tensors[name].shape[1:]]
        )

    def _clip(self, tensor: str, number: FixedPoint, low: int, high: int) -> str:
        """Bounds are exact multiples of the scale: clipping before or after rounding is then the same."""
        limits = np.iinfo(container(number))
        if low == 0 and high == limits.max:
            return self.node("Relu", [tensor])
        bounds = [
            ""
            if bound == limit
            else self.constant(np.array(bound * number.scale, np.float32), f"{self._prefix}/{what}")
            for bound, limit, what in ((low, limits.min, "min"), (high, limits.max, "max"))
        ]
        return self.node("Clip", [tensor, *bounds]) if any(bounds) else tensor

    def _dequantise(self, raw: str, number: ParameterFormat, prefix: str, result: str) -> str:
        scales = np.exp2(np.array(number.exponents, np.float32))
        per_channel = isinstance(number, ChannelFormat)
        operands = [raw, self.constant(scales if per_channel else scales[0], f"{prefix}_scale")]
        attributes = {"axis": 0} if per_channel else {}
        name = self._unique(f"{prefix}/DequantizeLinear")
        return self._append("DequantizeLinear", operands, result, name, **attributes)

    def _append(self, op_type: str, inputs: Sequence[str], output: str, name: str, **attributes: Any) -> str:
        self._taken.add(output)
        self._nodes.append(helper.make_node(op_type, list(inputs), [output], name, **attributes))
        return output

    def _unique(self, wish: str) -> str:
        name = wish
        number = 1
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name


def container(number: ParameterFormat) -> np.dtype[Any]:
    """The smallest ONNX integer type that holds a signed format."""
    return next(kind for kind in _CONTAINERS if np.iinfo(kind).bits >= number.bits)

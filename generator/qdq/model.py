"""The quantised graph as a standard ONNX model: QuantizeLinear and DequantizeLinear around float operators.

With power-of-two scales every dequantised value, product and sum is a float32 number without rounding, as long as
accumulators stay below 2**24 (quantise/accumulators.py: `float32_exact`). ONNX Runtime without graph optimisations
then gives the integers of the golden, bit for bit; its AveragePool adds up and divides once, correctly rounded. Other
scales, which models that come quantised have, are float32 numbers that it multiplies with rounding (docs/numbers.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..arithmetic.requantisation import mantissas_cancel, requantisation
from ..arithmetic.rounding import Rounding
from ..fixed_point import ChannelFormat, FixedPoint, ParameterFormat
from ..onnx_graph.node_builder import NodeBuilder
from ..task_graph import Task, TaskGraph
from .rounding import round_nodes

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
        builder.store(task, task.operator.to_qdq(builder, task, graph))
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


class QdqBuilder(NodeBuilder):
    """Collects the nodes of a QDQ model; an operator's `to_qdq` gets one that was begun with its task."""

    def __init__(self, graph: TaskGraph) -> None:
        self._graph = graph
        self._raw = quantised_tensor_names(graph)
        self._real: dict[str, str] = {}
        self._plain = False
        super().__init__({*graph.tensors, *self._raw.values()}, graph.name)

    def activation(self, tensor: str) -> str:
        """Name of the dequantised float tensor, as the current task reads it."""
        if not self._plain:
            return self._real[tensor]
        number = replace(self._graph.tensors[tensor].number, mantissa=1.0)
        operands = [self._raw[tensor], *self._scale_and_zero(f"{tensor}_plain", number)]
        return self.node("DequantizeLinear", operands)

    def scale(self, tensor: str) -> float:
        """Scale of a tensor, as the current task reads it."""
        number = self._graph.tensors[tensor].number
        return replace(number, mantissa=1.0).scale if self._plain else number.scale

    def parameters(self, task: Task, *roles: str) -> list[str]:
        """Names of the task's dequantised parameters, without the roles that it does not have."""
        names = []
        for role in (role for role in roles if role in task.parameters):
            parameter = task.parameters[role]
            name = f"{task.name}/{role}"
            raw = self.constant(parameter.values.astype(container(parameter.number)), f"{name}_quantised")
            names.append(self._dequantise(raw, parameter.number, name, self.unique(name)))
        return names

    def begin(self, task: Task) -> None:
        """Name the nodes that follow after a task.

        Where the mantissa of all its scales is the same, it does not matter, and the task gets scales without it: float32
        is then exact.
        """
        self.prefix = task.name
        mantissa = self._graph.output_tensor(task).number.mantissa
        self._plain = mantissa != 1 and mantissas_cancel(self._graph, task)

    def store(self, task: Task, real: str) -> None:
        """Append the task's clamp, where it is narrower than what QuantizeLinear saturates to, and its rounding."""
        found = requantisation(self._graph, task)
        self._round(task.output, real, self._graph.output_tensor(task).number, found.low, found.high)

    def quantise(self, tensor: str, real: str) -> None:
        """Append QuantizeLinear and DequantizeLinear for a graph input whose float values are `real`.

        Scales that are no powers of two are no exact float32 numbers as steps, and directed rounding would take an input
        that is a whole number of steps for one less: such inputs are always rounded half to even.
        """
        number = self._graph.tensors[tensor].number
        self.prefix = tensor
        if number.mantissa != 1 and number.rounding is not Rounding.SIGN:
            number = replace(number, rounding=Rounding.HALF_EVEN)
        self._round(tensor, real, number, number.minimum, number.maximum)

    def _round(self, tensor: str, real: str, number: FixedPoint, low: int, high: int) -> None:
        """Raw values, within bounds, and their real values again."""
        scale, zero = self._scale_and_zero(tensor, number)
        raw = self._raw[tensor]
        if self._plain and number.rounding is Rounding.HALF_EVEN:
            plain = replace(number, mantissa=1.0)
            operands = [self._clip(real, plain, low, high), self.number(plain.scale, "plain_scale"), zero]
        elif number.rounding is Rounding.HALF_EVEN:
            operands = [self._clip(real, number, low, high), scale, zero]
        else:
            step = self.number(2.0**number.exponent, "plain_scale") if self._plain else scale
            steps = round_nodes(self, self.node("Div", [real, step]), number.rounding)
            whole = replace(number, exponent=0, mantissa=1.0)
            operands = [self._clip(steps, whole, low, high), self.number(1, "one"), zero]
        self.node("QuantizeLinear", operands, raw, of=tensor)
        is_output = tensor in self._graph.outputs and tensor not in self._graph.inputs
        result = tensor if is_output else self.unique(f"{tensor}_dequantised")
        self._real[tensor] = self.node("DequantizeLinear", [raw, scale, zero], result, of=tensor)

    def model(self) -> onnx.ModelProto:
        """The checked model.

        Raises:
            onnx.checker.ValidationError: an operator's nodes are not valid ONNX.
        """
        from .. import __version__

        graph = helper.make_graph(
            self.nodes,
            self._graph.name,
            [self._float_tensor(name) for name in self._graph.inputs],
            [self._float_tensor(name) for name in self._graph.outputs],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="intarsia",
            producer_version=__version__,
            doc_string="Quantised by intarsia. Run without graph optimisations.",
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
        if low == number.zero and high == limits.max:
            return self.node("Relu", [tensor])
        bounds = [
            "" if bound == limit else self.number((bound - number.zero) * number.scale, what)
            for bound, limit, what in ((low, limits.min, "min"), (high, limits.max, "max"))
        ]
        return self.node("Clip", [tensor, *bounds]) if any(bounds) else tensor

    def _scale_and_zero(self, prefix: str, number: FixedPoint) -> tuple[str, str]:
        scale = self.constant(np.array(number.scale, np.float32), f"{prefix}_scale")
        zero = self.constant(np.array(number.zero, container(number)), f"{prefix}_zero_point")
        return scale, zero

    def _dequantise(self, raw: str, number: ParameterFormat, prefix: str, result: str) -> str:
        scales = np.array(number.scales, np.float32)
        per_channel = isinstance(number, ChannelFormat)
        operands = [raw, self.constant(scales if per_channel else scales[0], f"{prefix}_scale")]
        attributes: dict[str, Any] = {"axis": 0} if per_channel else {}
        return self.node("DequantizeLinear", operands, result, of=prefix, **attributes)


def container(number: ParameterFormat) -> np.dtype[Any]:
    """The smallest ONNX integer type that holds a signed format."""
    return next(kind for kind in _CONTAINERS if np.iinfo(kind).bits >= number.bits)

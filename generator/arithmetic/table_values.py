"""The values of a table: what ONNX Runtime makes, in float32, of every raw input of a function.

At a rounding border the last bit of float32 decides: 0.1f * 5 is 0.5000000075 in exact arithmetic, which rounds up, and
0.5 in float32, which rounds to even. So a table is not rounded from an exact result; it holds what the QDQ model itself
gives, DequantizeLinear -> function -> QuantizeLinear in ONNX Runtime, and is part of the quantised graph from then
on. That is within half a step of the real function, up to float32's own error of the function (tests/test_table.py).
Where the function is not a number, as the root of a negative one, the entry is the output's smallest value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from ..fixed_point import FixedPoint, Integers
from ..onnx_graph.reference_session import reference_session
from ..qdq.model import export_qdq, quantised_tensor_names
from ..task_graph import Task, TaskGraph, Tensor
from .rounding import Rounding


def table_values(task: Task, source: FixedPoint, output: FixedPoint) -> Integers:
    """Raw results, clamped, for all raw inputs of a format, in the order of raw input modulo 2**bits."""
    raw = np.arange(1 << source.bits, dtype=np.int64)
    raw = np.where(raw > source.maximum, raw - (1 << source.bits), raw)
    shape = (1, len(raw))
    source = replace(source, rounding=Rounding.HALF_EVEN)  # its values are whole numbers of steps
    tensors = {"x": Tensor("x", shape, 1, source), "y": Tensor("y", shape, 1, output)}
    alone = replace(task, inputs=("x",), output="y", parameters={})
    graph = TaskGraph("table", ("x",), ("y",), tensors, (alone,))
    model = export_qdq(graph)
    result = quantised_tensor_names(graph)["y"]
    model.graph.output.append(onnx.ValueInfoProto(name=result))
    inputs = {"x": source.dequantise(raw).astype(np.float32).reshape(shape)}
    (values,) = reference_session(model).run([result], inputs)
    found: Integers = np.asarray(values, dtype=np.int64).reshape(-1)
    return found

"""Models in float64, float16 or bfloat16 become float32: the accelerator's formats are chosen later anyway."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from ..errors import IntarsiaError

_NAMES: dict[int, str] = {
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}
_FOR_THE_HOST = (
    TensorProto.BOOL,
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
)


def to_float32(model: onnx.ModelProto) -> str:
    """Convert inputs, outputs, constants and casts in place; returns the types that were found, as text.

    Raises:
        IntarsiaError: an input or output is a tensor of text, complex or packed numbers.
    """
    graph = model.graph
    found: set[int] = set()
    for tensor in graph.initializer:
        _convert_tensor(tensor, found)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _convert_tensor(attribute.t, found)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in _NAMES:
                attribute.i = TensorProto.FLOAT
    for role, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            elements = value.type.tensor_type.elem_type
            if elements in _NAMES:
                found.add(elements)
                value.type.tensor_type.elem_type = TensorProto.FLOAT
            elif elements not in (TensorProto.FLOAT, *_FOR_THE_HOST):
                known = elements in TensorProto.DataType.values()
                kind = TensorProto.DataType.Name(elements).lower() if known else f"number {elements}"
                raise IntarsiaError(
                    f"graph {role} {value.name!r} has elements of type {kind}. Supported: float32 (float64, float16 "
                    "and bfloat16 are converted), integers and bool that the host works on. Cast outside of the model"
                )
    del graph.value_info[:]
    return " and ".join(_NAMES[kind] for kind in sorted(found))


def _convert_tensor(tensor: TensorProto, found: set[int]) -> None:
    if tensor.data_type in _NAMES:
        found.add(tensor.data_type)
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):  # too large for float32 is infinity, which is refused later
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))

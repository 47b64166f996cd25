"""The batch axis of an ONNX model: one sample while it is imported, any number when it runs as the reference.

The functions change a private copy in place.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import IntarsiaError
from ..operator import Array

Shapes = dict[str, tuple[int, ...]]
BATCH = "batch"
"""Name of the open batch size."""


def set_batch(graph: onnx.GraphProto) -> int:
    """One sample; returns the batch size that the inputs had (1 if left open)."""
    sizes = {value.name: value.type.tensor_type.shape.dim[0].dim_value or 1 for value in graph.input}
    if len(set(sizes.values())) > 1:
        raise IntarsiaError(
            f"the graph inputs have different batch sizes (axis 0): {sizes}. Supported: one batch size for all"
        )
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return next(iter(sizes.values()))


def correct_reshape(model: onnx.ModelProto, shapes: Shapes, batch: int, corrected: set[str]) -> bool:
    """Make the first constant Reshape target that is meant for `batch` samples one for a single sample."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        known = node.op_type == "Reshape" and node.input[1] in constants and node.input[0] in shapes
        if not known or node.output[0] in corrected:
            continue
        corrected.add(node.output[0])
        shape, target = shapes[node.input[0]], numpy_helper.to_array(constants[node.input[1]]).copy()
        if not any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute):
            for axis in range(1, min(len(target), len(shape))):  # a zero takes over the input's size
                target[axis] = target[axis] or shape[axis]
        for_one = _for_one_sample(target, prod(shape), batch)
        if for_one is not None:
            node.input[1] = f"shape of {node.output[0]}"
            model.graph.initializer.append(numpy_helper.from_array(for_one, node.input[1]))
            return True
    return False


def _for_one_sample(target: Array, size: int, batch: int) -> Array | None:
    """The target with its first axis divided by `batch`, if `size` values then fit and else do not."""
    if target.size == 0 or target[0] <= 0 or target[0] % batch or 0 in target:
        return None
    known = prod(int(axis) for axis in target if axis > 0)
    if -1 not in target and known == size:
        return None
    corrected = target.copy()
    corrected[0] //= batch
    fits = size % (known // batch) == 0 if -1 in target else known // batch == size
    return corrected if fits else None


def free_batch(model: onnx.ModelProto, shapes: Shapes) -> None:
    """Leave the batch size open, if the model then still treats every sample by itself; else it stays 1."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    graph = model.graph
    for node in graph.node:
        before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
        reshapes = node.op_type in (
            "Reshape",
            "Squeeze",
            "Unsqueeze",
        )  # which may drop a first axis of size 1
        if reshapes and before[:1] == after[:1] == (1,) and 0 not in after:
            target = f"shape of {node.output[0]}, any batch"
            node.op_type = "Reshape"
            node.input[:] = [node.input[0], target]
            if all(known.name != target for known in graph.initializer):  # of an import before this one
                graph.initializer.append(numpy_helper.from_array(np.array((0, *after[1:])), target))
            del node.attribute[:]  # allowzero, axes
    del graph.value_info[:]
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        model.CopyFrom(fixed)
        return
    made = {name for node in graph.node for name in node.output}
    values = [value for value in (*inferred.graph.value_info, *inferred.graph.output) if value.name in made]
    first = {value.name: [d.dim_param for d in value.type.tensor_type.shape.dim[:1]] for value in values}
    model.CopyFrom(inferred if all(first.get(name) == [BATCH] for name in made) else fixed)

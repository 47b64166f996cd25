"""Gives the float model the tensors that passes have added, moved and constant ones, so that it shows all of the graph."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..nest import FILL
from ..ops.constant import ConstantTensor
from ..ops.move import Move
from ..task_graph import TaskGraph


def add_moved_tensors(model: onnx.ModelProto, graph: TaskGraph) -> onnx.ModelProto:
    """The model with nodes for the Moves and constants of the graph that it does not have.

    Args:
        model: normalised float model; stays as it is.
        graph: float task graph after all passes.
    """
    made = {name for node in model.graph.node for name in node.output}
    known = {*made, *(value.name for value in model.graph.input)}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for task in graph.tasks:
        if isinstance(task.operator, ConstantTensor):
            values = numpy_helper.from_array(
                task.values["values"].astype(np.float32), f"{task.output}/values"
            )
            result.graph.initializer.append(values)
            _add(result, "Identity", [values.name], task.output)
            known.add(task.output)
        if not isinstance(task.operator, Move):
            continue
        if task.output in made:
            if task.inputs[0] not in known:  # an output and what is kept of it (passes/separate_outputs.py)
                _add(result, "Identity", [task.output], task.inputs[0])
            continue
        size = prod(graph.input_tensors(task)[0].shape[1:])
        index = task.operator.nest.indices()
        x, name = task.inputs[0], task.output
        _add(result, "Reshape", [x, _constant(result, f"{name}/flat", (-1, size))], f"{name}/flattened")
        flat = f"{name}/flattened"
        if (index == FILL).any():
            pads = _constant(result, f"{name}/one_more", (0, 0, 0, 1))
            fill = numpy_helper.from_array(np.array(task.operator.fill, np.float32), f"{name}/fill")
            result.graph.initializer.append(fill)
            _add(result, "Pad", [flat, pads, fill.name], f"{name}/padded")
            flat = f"{name}/padded"
            index = np.where(index == FILL, size, index)
        _add(
            result, "Gather", [flat, _constant(result, f"{name}/indices", index)], f"{name}/gathered", axis=1
        )
        shape = _constant(result, f"{name}/shape", (-1, *task.operator.shape[1:]))
        _add(result, "Reshape", [f"{name}/gathered", shape], name)
        known.add(name)
    return result


def _add(model: onnx.ModelProto, op_type: str, inputs: list[str], output: str, **attributes: Any) -> None:
    model.graph.node.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))


def _constant(model: onnx.ModelProto, name: str, values: object) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype=np.int64), name))
    return name

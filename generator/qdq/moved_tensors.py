"""Gives the float model the tensors that passes have added, moved and constant ones, so that it shows all of the graph."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from ..onnx_graph.node_builder import NodeBuilder
from ..onnx_graph.rewriter import names_of
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
    builder = NodeBuilder({*names_of(model.graph), *graph.tensors})
    for task in graph.tasks:
        builder.prefix = task.output
        if isinstance(task.operator, ConstantTensor):
            values = task.values["values"].astype(np.float32)
            builder.node("Identity", [builder.constant(values, f"{task.output}/values")], task.output)
            known.add(task.output)
        if not isinstance(task.operator, Move):
            continue
        if task.output in made:
            if task.inputs[0] not in known:  # an output and what is kept of it (passes/separate_outputs.py)
                builder.node("Identity", [task.output], task.inputs[0])
            continue
        size = prod(graph.input_tensors(task)[0].shape[1:])
        task.operator.nodes(builder, task.inputs[0], size, task.operator.fill, task.output)
        known.add(task.output)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.graph.node.extend(builder.nodes)
    result.graph.initializer.extend(builder.initializers)
    return result

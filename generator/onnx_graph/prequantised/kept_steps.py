"""Steps of a node's constant weights or operand, given to the task that the node became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...ops.with_constant import WithConstant
from ...task_graph import Task
from ..onnx_node import Constant, OnnxNode, Operand
from .strip import Steps


def with_steps(node: OnnxNode, task: Task, known: Mapping[str, Steps]) -> Task:
    """The task, its weights with a step for each output channel, or its operand with one for all, where the model has them.

    Raises:
        IntarsiaError: the steps differ along another axis than that of the output channels.
    """
    if isinstance(task.operator, WithConstant) and node.op_type != "Div":
        return _with_step(node.operand(int(not task.operator.first)), task, known)
    operand = node.operand(1)
    if "weight" not in task.parameters or not isinstance(operand, Constant) or operand.name not in known:
        return task
    steps = known[operand.name]
    weight = task.parameters["weight"]
    axis = _output_axis(node, operand.values.ndim)
    if steps.axis is not None and len(steps.values) > 1:
        node.require(
            steps.axis == axis,
            f"the scales of its weights {operand.name!r} differ along axis {steps.axis}. Supported: one scale, or one for "
            f"each output channel, that is along axis {axis}",
        )
    factor = abs(node.attributes.get("alpha", 1.0)) if node.op_type == "Gemm" else 1.0
    values = np.broadcast_to(steps.values * factor, (len(weight.values),))
    return replace(task, parameters={**task.parameters, "weight": replace(weight, steps=values)})


def _with_step(operand: Operand, task: Task, known: Mapping[str, Steps]) -> Task:
    """A constant tensor with the model's step, if it has one for all elements."""
    steps = known.get(operand.name) if operand is not None else None
    if steps is None or len(steps.values) > 1:
        return task
    constant = replace(task.parameters["constant"], steps=steps.values)
    return replace(task, parameters={"constant": constant})


def _output_axis(node: OnnxNode, rank: int) -> int:
    """Axis of the output channels of constant weights."""
    transposed = node.op_type == "Gemm" and node.attributes.get("transB", 0)
    return 0 if node.op_type == "Conv" or transposed else rank - 1

"""How large the accumulator of a task can become, for any input at all."""

from __future__ import annotations

from ..per_graph import kept_per_graph
from ..task_graph import Task, TaskGraph

WIDEST = 62
"""Most bits of an integer anywhere: rounding needs one bit of head room in int64."""


@kept_per_graph  # it reads all weights, and schedulers ask for every unit they consider
def accumulator_bound(graph: TaskGraph, task: Task) -> int:
    """Largest |accumulator| of a quantised task, over all inputs that the formats allow.

    It bounds what hardware adds up as well. That takes raw inputs as they come and begins with a bias of which the
    zero point's share is subtracted: no raw input is further from 0 than `FixedPoint.magnitude`.
    """
    inputs = graph.input_tensors(task)
    magnitudes = [max(tensor.number.magnitude, -tensor.number.minimum) for tensor in inputs]
    return task.operator.accumulator_bound(magnitudes, task.values, inputs)

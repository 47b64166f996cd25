"""Let no task read an output of the model: outputs are written to DRAM only. What is read as well is kept on chip, and copied."""

from __future__ import annotations

from dataclasses import replace

from ..task_graph import Task, TaskGraph
from .separate_inputs import copy


def apply(graph: TaskGraph) -> TaskGraph:
    """A Move that changes nothing before every such output."""
    read = [name for name in graph.outputs if graph.consumers[name]]
    kept = {name: f"{name}, kept" for name in read}
    tensors = dict(graph.tensors)
    tasks: list[Task] = []
    for task in graph.tasks:
        inputs = tuple(kept.get(name, name) for name in task.inputs)
        tasks.append(replace(task, inputs=inputs, output=kept.get(task.output, task.output)))
        if (inner := kept.get(task.output)) is not None:
            tensors[inner] = replace(tensors[task.output], name=inner)
            tasks.append(copy(tensors[inner], task.output, f"{task.output}, shown", task.onnx_nodes))
    return replace(graph, tensors=tensors, tasks=tuple(tasks))

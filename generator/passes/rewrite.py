"""Steps that several passes take on a graph."""

from __future__ import annotations

from dataclasses import replace

from ..task_graph import Task, TaskGraph, Tensor


def only_reader(graph: TaskGraph, tensor: str) -> Task | None:
    """The one task that reads a tensor; None if several do, none does, or it is a graph output."""
    readers = graph.consumers[tensor]
    return readers[0] if len(readers) == 1 and tensor not in graph.outputs else None


def exclusive_producer(graph: TaskGraph, task: Task) -> Task | None:
    """The task that makes the input of `task`, if nothing else needs that tensor."""
    tensor = task.inputs[0]
    return graph.producers.get(tensor) if only_reader(graph, tensor) is task else None


def merge_into_producer(graph: TaskGraph, producer: Task, task: Task, merged: Task) -> TaskGraph:
    """Replace `producer` by `merged`, which makes the output of `task` as well; `task` goes.

    The output keeps its name, and takes the shape that `merged` gives it.
    """
    merged = replace(merged, output=task.output, onnx_nodes=producer.onnx_nodes + task.onnx_nodes)
    return with_shapes(graph, tuple(merged if t is producer else t for t in graph.tasks if t is not task))


def merge_into_reader(graph: TaskGraph, task: Task, reader: Task, merged: Task) -> TaskGraph:
    """Replace `reader` by `merged`, which reads the input of `task`; `task` goes unless others read it."""
    merged = replace(merged, inputs=task.inputs, onnx_nodes=task.onnx_nodes + reader.onnx_nodes)
    graph = with_shapes(graph, tuple(merged if t is reader else t for t in graph.tasks))
    if graph.consumers[task.output] or task.output in graph.outputs:
        return graph
    return with_shapes(graph, tuple(t for t in graph.tasks if t is not task))


def with_shapes(graph: TaskGraph, tasks: tuple[Task, ...]) -> TaskGraph:
    """The graph with other tasks, and the tensors as their operators infer them."""
    tensors = {name: graph.tensors[name] for name in graph.inputs}
    for task in tasks:
        shape, channel_axis = task.operator.infer([tensors[name] for name in task.inputs], task.values)
        known = graph.tensors.get(task.output)
        same = known is not None and (known.shape, known.channel_axis) == (shape, channel_axis)
        tensors[task.output] = known if known and same else Tensor(task.output, shape, channel_axis)
    return replace(graph, tasks=tasks, tensors=tensors)

"""Images of one channel: let the pixels of a row lie side by side in words, where all that works on them can do so.

A word of channels would hold one pixel. Convolutions become stencils, which make a word of pixels per cycle.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np

from ..ops.clamp import Clamp
from ..ops.combine import Add, Max, Min, Mul, Sub
from ..ops.conv import Conv
from ..ops.function import Function
from ..ops.functions import FUNCTIONS
from ..ops.max_pool import MaxPool
from ..ops.move import Move
from ..ops.stencil import Stencil
from ..task_graph import Task, TaskGraph, Tensor

_ELEMENT_BY_ELEMENT = (Add, Sub, Mul, Max, Min, Clamp, Function, *FUNCTIONS)

_REPEATS = (1, 2, 4)
"""Times that a Resize may repeat each pixel of a row: of the narrowest words, 4 pixels."""


def apply(graph: TaskGraph) -> TaskGraph:
    """Stencils for convolutions of one channel, with all between them; nothing that would need another order of pixels."""
    names = _regions(graph)
    tensors = dict(graph.tensors)
    tasks: list[Task] = []
    for task in graph.tasks:
        if task.name in names:
            for name in task.inputs:
                if name in graph.inputs:
                    tensors[name] = replace(tensors[name], channel_axis=len(tensors[name].shape) - 1)
            task = _in_rows(task)
            shape, axis = task.operator.infer([tensors[name] for name in task.inputs], task.values)
            tensors[task.output] = replace(tensors[task.output], shape=shape, channel_axis=axis)
        tasks.append(task)
    return replace(graph, tasks=tuple(tasks), tensors=tensors)


def _in_rows(task: Task) -> Task:
    match task.operator:
        case Conv(kernel, stride, dilation, pads):
            return replace(task, operator=Stencil(kernel, stride, dilation, pads))
        case Move(shape):
            return replace(task, operator=replace(task.operator, channel_axis=len(shape) - 1))
    return task


def _regions(graph: TaskGraph) -> set[str]:
    """Tasks that work on rows and whose neighbours do so as well, in regions with a convolution."""
    able = {task.name for task in graph.tasks if _can(graph, task)}
    shared = nx.Graph()
    for task in graph.tasks:
        shared.add_edges_from((("tensor", name), ("task", task.name)) for name in (*task.inputs, task.output))
    found: set[str] = set()
    while True:
        alone = {name for name in able if not _neighbours(graph, name) <= able}
        if not alone:
            break
        able -= alone
    region = shared.subgraph(node for node in shared if node[0] == "tensor" or node[1] in able)
    for nodes in nx.connected_components(region):
        names = {name for kind, name in nodes if kind == "task"}
        if any(isinstance(graph.task(name).operator, Conv) for name in names):
            found |= names
    return found


def _neighbours(graph: TaskGraph, name: str) -> set[str]:
    """Tasks that make or read the same tensors."""
    task = graph.task(name)
    tensors = (*task.inputs, task.output)
    readers = {reader.name for tensor in tensors for reader in graph.consumers[tensor]}
    return readers | {graph.producers[tensor].name for tensor in tensors if tensor in graph.producers}


def _can(graph: TaskGraph, task: Task) -> bool:
    """True if the hardware can run a task on rows in words."""
    images = (*graph.input_tensors(task), graph.output_tensor(task))
    if not all(_one_channel(image) for image in images):
        return False
    operator = task.operator
    if isinstance(operator, Move):
        return _repeats_pixels(operator, images[0])
    if type(operator) is Conv:
        return Stencil(operator.kernel, operator.stride, operator.dilation, operator.pads).fits
    if isinstance(operator, MaxPool):
        return operator.pools_rows(replace(images[0], channel_axis=3))
    return isinstance(operator, _ELEMENT_BY_ELEMENT)


def _one_channel(image: Tensor) -> bool:
    return len(image.shape) == 4 and image.shape[1] == 1


def _repeats_pixels(move: Move, image: Tensor) -> bool:
    """True if every pixel is repeated a whole number of times, as by Resize to the nearest."""
    (_, _, height, width), (_, _, out_height, out_width) = image.shape, move.shape
    if out_height % height or out_width % width or out_width // width not in _REPEATS:
        return False
    pixels = np.arange(height * width).reshape(1, 1, height, width)
    repeated = pixels.repeat(out_height // height, axis=2).repeat(out_width // width, axis=3)
    return bool(np.array_equal(move.indices, repeated))

"""A task graph under change, for passes that replace many tasks one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from heapq import heappop, heappush

from ..ops.clamp import Clamp
from ..ops.reshape import Reshape
from ..ops.transpose import Transpose
from ..task_graph import Task, TaskGraph, Tensor


class Draft:
    """Answers what `TaskGraph` answers, after changes that each cost no more than the tasks that they touch.

    A task that replaces another takes its place in the order. Tensors that it makes have the shapes that its operator
    infers, and so have those that follow from them.
    """

    def __init__(self, graph: TaskGraph) -> None:
        """Starts from a graph, which stays as it is."""
        self._graph = graph
        self.inputs, self.outputs = frozenset(graph.inputs), frozenset(graph.outputs)
        self.tensors = dict(graph.tensors)
        self.producers = dict(graph.producers)
        self._places = {task.output: place for place, task in enumerate(graph.tasks)}
        self._readers = {name: {task.output for task in readers} for name, readers in graph.consumers.items()}

    def graph(self) -> TaskGraph:
        """The graph as it is now."""
        tasks = self.makers(self.producers)
        made = (*self._graph.inputs, *(task.output for task in tasks))
        return replace(self._graph, tasks=tasks, tensors={name: self.tensors[name] for name in made})

    def makers(self, tensors: Iterable[str]) -> tuple[Task, ...]:
        """The tasks that make these tensors, in order."""
        return tuple(self.producers[name] for name in sorted(tensors, key=self._places.__getitem__))

    def readers(self, tensor: str) -> tuple[Task, ...]:
        """Tasks that read a tensor, in order."""
        return self.makers(self._readers.get(tensor, ()))

    def only_reader(self, tensor: str) -> Task | None:
        """The one task that reads a tensor; None if several do, none does, or it is a graph output."""
        readers = self._readers.get(tensor, ())
        return self.readers(tensor)[0] if len(readers) == 1 and tensor not in self.outputs else None

    def exclusive_producer(self, task: Task) -> Task | None:
        """The task that makes the input of `task`, if nothing else needs that tensor, nor its rounding."""
        tensor = task.inputs[0]
        if self.only_reader(tensor) is not task or self.rounds_between(task):
            return None
        return self.producers.get(tensor)

    def rounds_between(self, task: Task) -> bool:
        """True if the model itself rounds the task's input, and the task cannot work on what it was before.

        A task that does not leave the grid can: a clamp, say, whose result has the same format.
        """
        before, after = self.tensors[task.inputs[0]].format, self.tensors[task.output].format
        stays = isinstance(task.operator, Clamp | Reshape | Transpose) and before == after
        return before is not None and not stays

    def is_needed(self, tensor: str) -> bool:
        """True if a task reads the tensor, or it is a graph output."""
        return bool(self._readers.get(tensor)) or tensor in self.outputs

    def merge_into_producer(self, producer: Task, task: Task, merged: Task) -> Task:
        """Replace `producer` by `merged`, which makes the output of `task` as well; `task` goes.

        The output keeps its name, and takes the shape that `merged` gives it.
        """
        merged = replace(merged, output=task.output, onnx_nodes=producer.onnx_nodes + task.onnx_nodes)
        self.replace({task: None, producer: merged})
        return merged

    def merge_into_reader(self, task: Task, reader: Task, merged: Task) -> Task:
        """Replace `reader` by `merged`, which reads the input of `task`; `task` goes unless others read it."""
        merged = replace(merged, inputs=task.inputs, onnx_nodes=task.onnx_nodes + reader.onnx_nodes)
        self.replace({reader: merged})
        if not self.is_needed(task.output):
            self.replace({task: None})
        return merged

    def replace(self, changes: dict[Task, Task | None]) -> None:
        """Put tasks in the places of others, or nothing (None); all at once, then infer shapes in order."""
        places = {task: self._places[task.output] for task in changes}
        for task in changes:
            del self._places[task.output], self.producers[task.output]
            for name in task.inputs:
                self._readers[name].discard(task.output)
        new = {places[task]: change for task, change in changes.items() if change is not None}
        for place, change in new.items():
            self._places[change.output], self.producers[change.output] = place, change
            self._readers.setdefault(change.output, set())
            for name in change.inputs:
                self._readers.setdefault(name, set()).add(change.output)
        self._infer(change.output for change in new.values())

    def _infer(self, outputs: Iterable[str]) -> None:
        """Shapes of these tensors, and of what follows from them where they differ; in order, as operands must agree."""
        waiting: list[tuple[int, str]] = []
        for name in outputs:
            heappush(waiting, (self._places[name], name))
        while waiting:
            _, name = heappop(waiting)
            task, known = self.producers[name], self.tensors.get(name)
            operands = [self.tensors[operand] for operand in task.inputs]
            shape, channel_axis = task.operator.infer(operands, task.values)
            if known is None or (known.shape, known.channel_axis) != (shape, channel_axis):
                self.tensors[name] = Tensor(
                    name, shape, channel_axis, known.format if known else None, known.kind if known else ""
                )
                for reader in self._readers[name]:
                    heappush(waiting, (self._places[reader], reader))

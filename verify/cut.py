"""Parts of a model: a few tasks as a graph of their own, and as a project of their own.

A board without taps shows only outputs. `prefix` ends the model early, so that an inner tensor is one; `bisect` finds the
first task that is wrong with the logarithm of their number of such designs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from intarsia.board import Board, load_board
from intarsia.design import Design
from intarsia.errors import IntarsiaError
from intarsia.graph_file import load_graph
from intarsia.machine.identifiers import identifier
from intarsia.machine.lower import lower
from intarsia.operator import Array
from intarsia.qdq.model import export_qdq
from intarsia.samples import Preprocess, load_samples
from intarsia.schedule.search import decide
from intarsia.task_graph import TaskGraph

from .project_files import design_json


class CutError(IntarsiaError):
    """There is no such task."""


def between(graph: TaskGraph, tasks: Collection[str]) -> TaskGraph:
    """Some tasks as a graph; what they read from others are its inputs, what others or nobody read are its outputs."""
    kept = tuple(task for task in graph.tasks if task.name in tasks)
    made = {task.output for task in kept}
    inputs = tuple(dict.fromkeys(name for task in kept for name in task.inputs if name not in made))
    outputs = tuple(
        task.output
        for task in kept
        if task.output in graph.outputs
        or not graph.consumers[task.output]
        or any(reader.name not in tasks for reader in graph.consumers[task.output])
    )
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in made or name in inputs}
    return TaskGraph(graph.name, inputs, outputs, tensors, kept)


def ancestors(graph: TaskGraph, task: str) -> tuple[str, ...]:
    """A task and all that its result depends on, in topological order."""
    needed = {task}
    for one in reversed(graph.tasks):
        if one.name in needed:
            needed |= {graph.producers[name].name for name in one.inputs if name in graph.producers}
    return tuple(one.name for one in graph.tasks if one.name in needed)


def prefix(graph: TaskGraph, task: str) -> TaskGraph:
    """The graph that ends with a task, and has its result as the only output.

    Raises:
        CutError: the graph has no such task.
    """
    names = [one.name for one in graph.tasks]
    if task not in names:
        raise CutError(f"there is no layer {task!r}; the layers are {', '.join(names)}")
    return between(graph, ancestors(graph, task))


def suspects(graph: TaskGraph, right: Mapping[str, bool]) -> tuple[str, ...]:
    """Tasks of which one is the first wrong one, in topological order; empty if none can be.

    Args:
        graph: the quantised task graph.
        right: whether the models that end with some tasks give the right result. One that does clears all that it depends
            on (a fault that later tasks hide stays unseen), one that does not leaves no other.
    """
    left = {task.name for task in graph.tasks if task.inputs}  # a constant by itself is no model
    for name, good in right.items():
        before = set(ancestors(graph, name))
        left = left - before if good else left & before
    return tuple(task.name for task in graph.tasks if task.name in left)


def next_cut(graph: TaskGraph, right: Mapping[str, bool]) -> str | None:
    """The task whose result halves the suspects best; None if nothing is left to ask.

    With an output of the model it begins: whether the board is wrong at all, as far as these inputs show it.
    """
    left = suspects(graph, right)
    if not right:
        return graph.producers[graph.outputs[-1]].name
    open_ones = [name for name in left if name not in right]

    def larger_part(name: str) -> int:
        before = len(set(left) & set(ancestors(graph, name)))
        return max(before, len(left) - before)

    return min(open_ones, key=larger_part, default=None)


def bisect(graph: TaskGraph, fails: Callable[[str], bool]) -> str | None:
    """The first wrong task, whose result is wrong though all that it depends on are right; None if there is none.

    Args:
        graph: the quantised task graph.
        fails: whether the model that ends with this task is wrong.
    """
    right: dict[str, bool] = {}
    while (name := next_cut(graph, right)) is not None:
        right[name] = not fails(name)
    return next(iter(suspects(graph, right)), None)


def compile_cut(graph: TaskGraph, board: Board, clock_mhz: float, samples: Mapping[str, Array]) -> Design:
    """A quantised graph as a design; the float model that it is verified against is its QDQ model.

    Args:
        graph: quantised.
        board: what it is for.
        clock_mhz: of the kernel.
        samples: real inputs, of shape (samples, *tensor shape).

    Raises:
        IntarsiaError: the graph has no schedule that fits the board.
    """
    decision = decide(graph, board, "auto")
    model = export_qdq(graph)
    return Design(
        graph=graph,
        machine=lower(graph, decision.chosen.schedule, identifier(graph.name)),
        decision=decision,
        board=board,
        clock_mhz=clock_mhz,
        float_model=model,
        quantised_model=model,
        samples=samples,
        preprocess=Preprocess(),
        notes=("a part of a larger model, with FIFO depths by the cost model", *decision.notes),
    )


def compile_prefix(project: Path, task: str) -> Design:
    """A project's model as it is after one of its tasks, for its board and with its samples.

    Raises:
        IntarsiaError: there is no such project or task.
    """
    about = design_json(project)
    graph = load_graph(project / "golden.npz")
    cut = prefix(graph, task)
    inputs = tuple(graph.tensors[name] for name in graph.inputs)
    samples = load_samples(project / "samples.npz", inputs).arrays
    kept = {name: samples[name] for name in cut.inputs}
    return compile_cut(cut, load_board(about["board"]), about["clock_mhz"], kept)

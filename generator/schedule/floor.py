"""Cycles that no mixed schedule can beat on engines of so many rows in all, however these are cut into engines.

The same exact choice among sets of tasks as for given engines (mixed.py), with a cost for each that none of its phases can be
below. It takes about as long as the search for one set of engines, and says of many that they need not be tried.
"""

from __future__ import annotations

from ..cost import PHASE_OVERHEAD
from ..machine.hardware import words_of
from ..machine.units.kinds import least_trips
from ..machine.units.window import plan_patches
from ..machine.wiring import reads_of
from ..task_graph import TaskGraph
from ..work import MacWork
from .exact.dynamic_programme import solve
from .exact.problem import Candidate, Problem
from .mixed import tensors_between
from .phases import connected_sets


def floor_cycles(graph: TaskGraph, lanes: int, rows: int, engines: int, batch: int = 1) -> int:
    """The bound.

    Args:
        graph: quantised task graph.
        lanes: elements per word.
        rows: output channels that all engines make per pass.
        engines: how many there are at most.
        batch: samples per launch; the bound is that of cycles per sample.
    """
    trips = {task.name: least_trips(graph, task, lanes, rows) for task in graph.tasks}
    works = {task.name: task.operator.work(task, graph) for task in graph.tasks}
    products = {  # words of patches, once for each output channel: a row takes one of them per cycle
        name: work.pixels * work.outputs * plan_patches(work, lanes).words
        for name, work in works.items()
        if isinstance(work, MacWork)
    }

    def cycles(tasks: tuple[str, ...]) -> int:
        """The busiest process of a phase of these tasks: one of a task, all rows together, or what reads a tensor."""
        busiest = max(trips[name] for name in tasks)
        together = -(-sum(products.get(name, 0) for name in tasks) // rows)
        read = [words_of(graph, one.tensor, lanes) for one in reads_of(graph, tasks) if not one.view]
        return max(busiest, together, *read, 0) + PHASE_OVERHEAD // batch

    candidates = tuple(Candidate(frozenset(tasks), cycles(tasks)) for tasks in connected_sets(graph, engines))
    tensors = tensors_between(graph, lanes)
    capacity = sum(tensor.words for tensor in tensors)
    problem = Problem(tuple(task.name for task in graph.tasks), tensors, candidates, capacity)
    return solve(problem, beam=500).lower_bound_cycles

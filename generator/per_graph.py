"""Results kept with the task graph that they are of, and no longer: a process may compile any number of models."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple

from .task_graph import TaskGraph

Rest = TypeVarTuple("Rest")
Result = TypeVar("Result")


def kept_per_graph(function: Callable[[TaskGraph, *Rest], Result]) -> Callable[[TaskGraph, *Rest], Result]:
    """The function, called once for each graph and its further arguments."""

    @wraps(function)
    def found(graph: TaskGraph, *rest: *Rest) -> Result:
        key = (function, *rest)
        try:
            result: Result = graph.results[key]
        except KeyError:
            result = graph.results[key] = function(graph, *rest)
        return result

    return found

"""Nothing keeps a task graph alive but who uses it: a process may compile any number of models."""

from __future__ import annotations

import gc
from weakref import ref

from graphs import quantised, small_cnn, stress_inputs

from intarsia import golden
from intarsia.board import load_board
from intarsia.emit import emit_sources
from intarsia.machine.lower import lower
from intarsia.per_graph import kept_per_graph
from intarsia.schedule.search import decide
from intarsia.task_graph import TaskGraph


def test_a_graph_that_was_compiled_is_freed() -> None:
    graph = quantised(small_cnn())
    emit_sources(lower(graph, decide(graph, load_board("kv260")).chosen.schedule, "freed"), "freed")
    golden.run(graph, stress_inputs(graph))
    gone = [ref(graph), *map(ref, graph.tasks)]
    del graph
    gc.collect()
    assert [one() for one in gone] == [None] * len(gone)


def test_a_result_is_found_once_for_each_graph_and_its_arguments() -> None:
    asked = []

    @kept_per_graph
    def name_of(graph: TaskGraph, index: int) -> str:
        asked.append(index)
        return graph.tasks[index].name

    first, second = quantised(small_cnn()), quantised(small_cnn())
    assert [name_of(first, 0), name_of(first, 1), name_of(first, 0), name_of(second, 0)] == [
        first.tasks[0].name,
        first.tasks[1].name,
        first.tasks[0].name,
        second.tasks[0].name,
    ]
    assert asked == [0, 1, 0]

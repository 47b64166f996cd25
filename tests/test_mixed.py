"""Mixed schedules: legal, optimal on their engines, bit-exact in C-simulation."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from graphs import chain, conv, dense, quantised, small_cnn
from machines import assert_equals_golden

from intarsia.board import BoardError, load_board, part_of
from intarsia.ops.combine import Add
from intarsia.ops.max_pool import MaxPool
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.mixed import PhaseCosts, mixed
from intarsia.schedule.phases import MOST_SETS, Engines, connected_sets
from intarsia.schedule.plan import Assignment, Pattern, Phase, Schedule, ScheduleError, Unit
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide
from intarsia.task_graph import UNBOUNDED, Task, TaskGraph, Tensor

PLENTY = 1 << 30


def residual(seed: int = 0) -> TaskGraph:
    """conv, conv, conv, an Add that skips the two before it, pool, dense."""
    rng = np.random.default_rng(seed)
    same = {"kernel": (3, 3), "pads": (1, 1, 1, 1)}
    graph = chain((3, 10, 10), [conv(rng, 3, 8, **same), conv(rng, 8, 8, **same), conv(rng, 8, 8, **same)])
    tail = chain((8, 10, 10), [(MaxPool((2, 2), (2, 2)), {}, UNBOUNDED), dense(rng, 200, 5)])
    add = Task("add", Add(), ("t0", "t2"), "sum", onnx_nodes=("add",))
    pool, last = tail.tasks
    rename = {"x": "sum", "t0": "pooled", "t1": "scores"}
    moved = [
        Task(
            f"tail{i}",
            t.operator,
            (rename[t.inputs[0]],),
            rename[t.output],
            t.parameters,
            t.clamp,
            (f"tail{i}",),
        )
        for i, t in enumerate((pool, last))
    ]
    tensors = dict(graph.tensors) | {"sum": Tensor("sum", (1, 8, 10, 10), 1)}
    tensors |= {
        rename[n]: Tensor(rename[n], t.shape, t.channel_axis) for n, t in tail.tensors.items() if n != "x"
    }
    return quantised(TaskGraph("residual", ("x",), ("scores",), tensors, (*graph.tasks, add, *moved)))


@pytest.fixture(scope="module")
def graph() -> TaskGraph:
    return residual()


@pytest.mark.parametrize("engines", [(8,), (4, 8), (8, 8), (16, 8), (2, 4, 8)])
def test_bit_exact_on_any_engines(graph: TaskGraph, engines: tuple[int, ...]) -> None:
    assert_equals_golden(graph, mixed(graph, Engines(engines, 8), PLENTY))


def test_units_may_share_tasks_in_any_proportion() -> None:
    graph = quantised(small_cnn())
    names = [task.name for task in graph.tasks]
    units = (Unit("e0", "engine", 4), Unit("e1", "engine", 2), Unit("p", "pool"))
    phases = (
        Phase(Pattern.SEQUENTIAL, (Assignment(names[0], "e0"), Assignment(names[1], "p"))),
        Phase(Pattern.SEQUENTIAL, (Assignment(names[2], "e1"), Assignment(names[3], "p"))),
        Phase(Pattern.SEQUENTIAL, (Assignment(names[4], "e0", (0, 1)), Assignment(names[4], "e1", (1, 2)))),
    )
    assert_equals_golden(graph, Schedule("shared", 4, units, phases))


def test_one_engine_is_the_sequential_schedule(graph: TaskGraph) -> None:
    board = load_board("kv260")
    one = evaluate(graph, mixed(graph, Engines((8,), 8), PLENTY), board)
    assert one.cycles <= evaluate(graph, sequential(graph, 8, 8), board).cycles


def test_auto_is_never_slower_than_a_pure_schedule(graph: TaskGraph) -> None:
    for board in (load_board("kv260"), load_board("pynq-z2")):
        decision = decide(graph, board)
        assert all(
            cycles is None or decision.chosen.cycles <= cycles for cycles in decision.baselines.values()
        )


def test_lanes_and_budget_bound_the_search(graph: TaskGraph) -> None:
    board = load_board("pynq-z2")
    half = part_of(board, 50)
    small = decide(graph, half, "mixed", (4,)).chosen
    assert small.schedule.lanes == 4
    assert small.resources.dsp <= half.resources.dsp == board.resources.dsp // 2
    assert decide(graph, board, "mixed", (4, 8)).chosen.cycles <= small.cycles
    with pytest.raises(ScheduleError, match="--lanes must be of 4, 8, 16, 32, not 5"):
        decide(graph, board, "mixed", (5,))
    with pytest.raises(BoardError, match="--budget must be above 0"):
        part_of(board, 0)


@pytest.mark.parametrize("resource", ["dsp", "lut", "bram18"])
def test_more_of_a_resource_is_never_slower(graph: TaskGraph, resource: str) -> None:
    """For every kind of schedule; what fits a board fits a larger one too."""
    board = load_board("pynq-z2")
    costs: PhaseCosts = {}
    before: dict[str, int] = {}
    for percent in (10, 25, 40, 70, 100, 1000):
        count = getattr(board.resources, resource) * percent // 100
        try:
            found = decide(
                graph, replace(board, resources=replace(board.resources, **{resource: count})), costs=costs
            ).found
        except ScheduleError:
            assert not before
            continue
        kinds = ("dataflow", "sequential", "mixed")
        cycles = {kind: one.cycles for kind, one in zip(kinds, found, strict=True)} if len(found) == 3 else {}
        cycles["auto"] = min(one.cycles for one in found)
        assert all(cycles[kind] <= most for kind, most in before.items()), (percent, before, cycles)
        before |= cycles


@pytest.mark.parametrize("lanes", [(4,), (4, 8, 16, 32)])
def test_more_of_the_board_is_never_slower(graph: TaskGraph, lanes: tuple[int, ...]) -> None:
    costs: PhaseCosts = {}
    before = 1 << 40
    for percent in (40, 55, 75, 100):
        cycles = decide(
            graph, part_of(load_board("pynq-z2"), percent), lanes=lanes, costs=costs
        ).chosen.cycles
        assert cycles <= before, percent
        before = cycles


def test_connected_sets_are_convex_and_complete(graph: TaskGraph) -> None:
    digraph = graph.digraph
    found = {frozenset(names) for names in connected_sets(graph, 3)}
    assert all(frozenset([task.name]) in found for task in graph.tasks)
    for names in found:
        assert nx.is_weakly_connected(digraph.subgraph(names))
        for source in names:
            for target in names:
                for path in nx.all_simple_paths(digraph, source, target):
                    assert set(path) <= names
    whole_block = {
        graph.tasks[i].name for i in range(4)
    }  # three convolutions and the Add that closes the skip
    assert whole_block in found
    assert not any(
        "add" in names and len(names & whole_block) == 2 and graph.tasks[0].name in names for names in found
    )


def test_graphs_with_millions_of_connected_sets_are_cut_to_the_smaller_ones() -> None:
    """Twenty side branches of three tasks each at two products: every choice of them would be a set."""
    rng = np.random.default_rng(0)
    graph = chain((8,), [dense(rng, 8, 8), dense(rng, 8, 8)])
    tensors, tasks = dict(graph.tensors), list(graph.tasks)
    for branch in range(20):
        source = graph.tasks[0].output
        for step in range(3):
            name = f"b{branch}_{step}"
            tensors[name] = Tensor(name, tensors[source].shape, tensors[source].channel_axis)
            tasks.append(Task(name, Add(), (source, source), name))
            source = name
    wide = TaskGraph("wide", graph.inputs, (*graph.outputs, "b0_2"), tensors, tuple(tasks))
    found = connected_sets(wide, 3)
    assert all((task.name,) in found for task in wide.tasks)
    assert 100 < len(found) <= MOST_SETS

"""The timed C-simulation: what FIFO depths cost, deadlocks, and how close the cost model comes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib.resources import as_file, files

import numpy as np
import pytest
from graphs import RELU, chain, conv, dense, quantised, small_cnn
from machines import pure_schedule, simulate
from test_mixed import residual

from intarsia import compiler
from intarsia.board import load_board
from intarsia.design import Design
from intarsia.machine.lower import lower
from intarsia.machine.machine import Machine
from intarsia.machine.rows import TapRow
from intarsia.ops.max_pool import MaxPool
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.pure import dataflow, sequential
from intarsia.simulation.timed import DeadlockError, TimedSimulation, size_fifos
from intarsia.task_graph import UNBOUNDED, TaskGraph

KINDS = ("dataflow", "sequential")
UNBOUNDED_DEPTH = 1 << 30


@pytest.fixture(scope="module")
def graph() -> TaskGraph:
    return quantised(small_cnn())


@pytest.fixture(scope="module", params=KINDS)
def simulation(request: pytest.FixtureRequest, graph: TaskGraph) -> TimedSimulation:
    return TimedSimulation(lower(graph, pure_schedule(graph, request.param, 8, 4), "timed"))


@pytest.fixture(scope="module", params=KINDS)
def lenet(request: pytest.FixtureRequest) -> Iterator[Design]:
    folder = files("intarsia.demo")
    with as_file(folder / "lenet5.onnx") as model, as_file(folder / "mnist.npz") as images:
        yield compiler.compile_model(model, calibration=images, schedule=request.param)


def everywhere(machine: Machine, depth: int) -> dict[str, int]:
    return dict.fromkeys((stream.name for stream in machine.streams), depth)


def test_sized_fifos_cost_no_cycle(simulation: TimedSimulation) -> None:
    unbounded = simulation.time(everywhere(simulation.machine, UNBOUNDED_DEPTH))
    machine, timings = size_fifos(simulation)
    cycles = tuple(timing.cycles for timing in timings)
    assert cycles == tuple(timing.cycles for timing in unbounded)
    depths = {stream.name: stream.depth for stream in machine.streams}
    assert all(depth & (depth - 1) == 0 and depth >= 2 for depth in depths.values())
    assert simulation.cycles(depths) == sum(cycles)
    for name, depth in depths.items():  # none can be halved alone
        if depth > 2:
            with contextlib.suppress(DeadlockError):
                assert simulation.cycles(depths | {name: depth // 2}) > sum(cycles), name


def test_sized_machine_computes_the_same(simulation: TimedSimulation, graph: TaskGraph) -> None:
    machine, _ = size_fifos(simulation)
    inputs = {"x": np.ones((2, 1, 2, 12, 10), np.int64)}
    before, after = simulate(graph, simulation.machine, inputs), simulate(graph, machine, inputs)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_shallower_fifos_are_never_faster(simulation: TimedSimulation) -> None:
    cycles = [simulation.cycles(everywhere(simulation.machine, depth)) for depth in (1, 2, 4, 16, 1 << 20)]
    assert cycles == sorted(cycles, reverse=True)


def test_times_do_not_depend_on_what_was_timed_before(simulation: TimedSimulation) -> None:
    first = simulation.time()
    simulation.cycles(everywhere(simulation.machine, 1))
    assert simulation.time() == first


def test_high_water_marks_are_never_above_the_depth(simulation: TimedSimulation) -> None:
    for timing in simulation.time(everywhere(simulation.machine, 3)):
        assert all(use.high_water <= 3 for use in timing.fifos.values())


def test_nobody_waits_longer_than_the_phase_lasts(simulation: TimedSimulation) -> None:
    for timing in simulation.time(everywhere(simulation.machine, 1)):
        for use in timing.fifos.values():
            assert max(use.reader_waits, use.writer_waits) < timing.cycles


def test_a_fifo_of_depth_0_deadlocks_and_is_named(simulation: TimedSimulation) -> None:
    for stream in simulation.machine.streams:
        if stream.name.endswith("_tapped"):
            continue  # the record is made without taps
        with pytest.raises(DeadlockError, match="deadlocks") as error:
            simulation.time({stream.name: 0})
        assert f"waits for '{stream.name}'" in str(error.value)
        assert "phase" in str(error.value)


def test_the_message_names_the_phase_and_what_to_do(simulation: TimedSimulation) -> None:
    with pytest.raises(DeadlockError) as error:
        simulation.time({simulation.machine.streams[0].name: 0})
    assert f"phase 0 ({simulation.machine.phase_names[0]})" in str(error.value)
    assert "--no-fifo-sizing" not in str(error.value)  # there is no such option


def test_iterations_are_the_rows_trip_counts(simulation: TimedSimulation) -> None:
    machine = simulation.machine
    configs = {config.name: config for config in machine.configs}
    checked = 0
    for phase, timing in enumerate(simulation.time()):
        for name, process in timing.processes.items():
            count = process.iterations
            row = configs[name].rows[phase][0]
            trips = getattr(row, "iterations", getattr(row, "words", None))
            if isinstance(row, TapRow):
                assert count == 0  # no tap was asked for
            else:
                assert count == trips, name
                checked += 1
    assert checked >= len(machine.processes) - 1


def test_a_short_skip_connection_deadlocks_and_is_named_and_sized_away() -> None:
    graph = residual()
    simulation = TimedSimulation(lower(graph, pure_schedule(graph, "dataflow", 8, 8), "residual"))
    skip = "layer0_to_add"
    depths = {stream.name: stream.depth for stream in size_fifos(simulation)[0].streams}
    assert max(depths, key=lambda name: depths[name]) == skip
    assert simulation.cycles(depths) == simulation.cycles(everywhere(simulation.machine, UNBOUNDED_DEPTH))
    for depth in (2, depths[skip] // 2):
        with pytest.raises(DeadlockError) as error:
            simulation.cycles(depths | {skip: depth})
        cycle = re.findall(r"(\w+) waits for '(\w+)' \((full|empty).*? by (\w+)\)", str(error.value))
        full = [stream for _, stream, state, _ in cycle if state == "full"]
        assert full == [skip]  # the one to deepen
        assert f"full at depth {depth}, read by AddCombine" in str(error.value)
        waiting = [process for process, *_ in cycle]
        waited_for = [process for *_, process in cycle]
        assert waited_for == waiting[1:] + waiting[:1]
        assert {"Layer1Mac", "Layer2Mac", "AddCombine"} <= set(waiting)  # the longer way


def test_the_cost_model_comes_close_on_lenet(lenet: Design) -> None:
    counted, model = sum(lenet.phase_cycles), lenet.decision.chosen.cycles
    assert lenet.timings
    assert abs(counted - model) <= 0.02 * counted, (counted, model)
    for cycles, phase in zip(lenet.phase_cycles, lenet.decision.chosen.phases, strict=True):
        assert abs(cycles - phase.cycles) <= max(6, 0.02 * cycles)


def test_the_cost_model_comes_close_on_a_chain_of_unequal_layers() -> None:
    rng = np.random.default_rng(0)
    graph = quantised(
        chain(
            (3, 16, 16),
            [
                conv(rng, 3, 16, kernel=(3, 3), pads=(1, 1, 1, 1)),
                (MaxPool((2, 2), (2, 2)), {}, UNBOUNDED),
                (*conv(rng, 16, 8, kernel=(3, 3))[:2], RELU),
                dense(rng, 8 * 6 * 6, 10),
            ],
        )
    )
    schedule = dataflow(graph, 8, {"layer0": 4, "layer2": 8, "layer3": 8})
    counted = TimedSimulation(lower(graph, schedule, "unequal")).cycles()
    model = evaluate(graph, schedule, load_board("kv260")).cycles
    assert abs(counted - model) <= 0.02 * counted, (counted, model)


def test_layers_that_are_alike_share_a_record() -> None:
    rng = np.random.default_rng(0)
    layers = [conv(rng, 8, channels, kernel=(1, 1)) for channels in (8, 8, 8, 16)]
    graph = quantised(chain((8, 6, 6), layers))
    simulation = TimedSimulation(lower(graph, sequential(graph, 8, 8), "alike"))
    first, second, third, last = simulation.records()
    assert first == second == third != last
    assert simulation.time()[1].cycles == simulation.time()[2].cycles

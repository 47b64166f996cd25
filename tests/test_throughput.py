"""Launches of several samples: bit-exact, timed as the cost model says, and chosen where they bring more per second."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from graphs import quantised, small_cnn
from machines import assert_equals_golden, pure_schedule, simulate

from intarsia import golden
from intarsia.board import load_board
from intarsia.boards import environment
from intarsia.compiler import compile_model
from intarsia.machine.lower import lower
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Schedule, ScheduleError, Weights
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import THROUGHPUT, batches_of, decide
from intarsia.simulation.timed import TimedSimulation, launch_cycles, size_fifos
from intarsia.simulation.timed_choice import count_best
from intarsia.task_graph import TaskGraph
from intarsia.verify import assert_agrees, run

BATCH = 5


def spilled(graph: TaskGraph) -> Schedule:
    schedule = sequential(graph, 8, 8)
    return replace(schedule, spilled=tuple(task.output for task in graph.tasks[:2]))


SCHEDULES: dict[str, Callable[[TaskGraph], Schedule]] = {
    "dataflow": lambda graph: pure_schedule(graph, "dataflow", 8, 4),
    "sequential": lambda graph: sequential(graph, 8, 8),
    "mixed": lambda graph: mixed(graph, Engines((8, 4), 8), 1 << 30, batch=BATCH),
    "spilled": spilled,
    "prefetched": lambda graph: sequential(graph, 8, 8, 64),
    "loaded": lambda graph: replace(sequential(graph, 8, 8, 64), weights=Weights.LOADED),
}


@pytest.fixture(scope="module")
def graph() -> TaskGraph:
    return quantised(small_cnn())


@pytest.fixture(params=SCHEDULES)
def schedule(request: pytest.FixtureRequest, graph: TaskGraph) -> Schedule:
    return replace(SCHEDULES[request.param](graph), batch=BATCH)


def unbounded(simulation: TimedSimulation) -> dict[str, int]:
    return dict.fromkeys(simulation.depths(), 1 << 30)


def test_every_sample_of_a_launch_is_bit_exact(graph: TaskGraph, schedule: Schedule) -> None:
    machine = assert_equals_golden(graph, schedule)
    assert machine.batch == BATCH
    banks = replace(schedule, batch=1)
    assert machine.bank_words == BATCH * lower(graph, banks, "one").bank_words


def test_what_lies_beside_a_sample_is_left_alone(graph: TaskGraph) -> None:
    """Each output of a launch depends on its own input alone."""
    machine = lower(graph, replace(SCHEDULES["mixed"](graph), batch=BATCH), "apart")
    rng = np.random.default_rng(0)
    inputs = {"x": rng.integers(-128, 128, (2 * BATCH + 1, 1, 2, 12, 10))}
    found = simulate(graph, machine, inputs)[graph.outputs[0]]
    assert np.array_equal(found, golden.run(graph, inputs)[graph.outputs[0]])
    inputs["x"][3] = 0
    changed = simulate(graph, machine, inputs)[graph.outputs[0]]
    assert [n for n in range(len(found)) if not np.array_equal(found[n], changed[n])] == [3]


def test_the_cost_model_knows_the_interval(graph: TaskGraph, schedule: Schedule) -> None:
    simulation = TimedSimulation(lower(graph, schedule, "timed"), samples=4)
    timings = simulation.time(unbounded(simulation))
    phases = evaluate(graph, schedule, load_board("kv260")).phases
    counted, model = (sum(phase.launch(BATCH) for phase in found) for found in (timings, phases))
    assert abs(counted - model) <= max(6 * len(phases), 0.02 * counted), (counted, model)
    for timing, phase in zip(timings, phases, strict=True):
        assert abs(timing.interval - phase.interval) <= max(6, 0.02 * timing.interval)
        assert timing.interval < timing.cycles  # a sample does not wait for the end of the one before


def test_samples_that_were_not_simulated_follow_steadily(graph: TaskGraph, schedule: Schedule) -> None:
    machine, timings = size_fifos(TimedSimulation(lower(graph, schedule, "timed"), samples=4))
    whole = TimedSimulation(machine, samples=BATCH).time()
    assert [timing.launch(BATCH) for timing in timings] == [timing.launch(BATCH) for timing in whole]


def test_a_launch_of_one_sample_takes_as_long_as_without_batches(
    graph: TaskGraph, schedule: Schedule
) -> None:
    several = TimedSimulation(lower(graph, schedule, "timed"), samples=3).time()
    one = TimedSimulation(lower(graph, replace(schedule, batch=1), "timed")).time()
    assert [timing.launch(1) for timing in several] == [timing.cycles for timing in one]


def test_sized_fifos_cost_a_launch_no_cycle(graph: TaskGraph, schedule: Schedule) -> None:
    simulation = TimedSimulation(lower(graph, schedule, "timed"), samples=4)
    machine, timings = size_fifos(simulation)
    assert launch_cycles(machine, timings) == simulation.cycles(unbounded(simulation))


@pytest.mark.parametrize("board", ["kv260", "pynq-z2"])
def test_throughput_is_never_less_than_with_the_schedule_of_least_latency(
    graph: TaskGraph, board: str
) -> None:
    target = load_board(board)
    fast, often = decide(graph, target), decide(graph, target, batches=THROUGHPUT)
    assert often.chosen.interval < fast.chosen.interval == fast.chosen.cycles
    assert often.chosen.fits
    for kind, cycles in fast.baselines.items():
        interval = often.baselines[kind]
        assert cycles is not None and interval is not None and interval <= cycles
    counted = count_best(graph, often.found, "often", target)
    assert ceil(counted.interval) < fast.chosen.cycles


def test_the_smallest_batch_that_is_nearly_as_good_is_taken(graph: TaskGraph) -> None:
    chosen = decide(graph, load_board("kv260"), batches=(64, 4096)).chosen
    assert chosen.schedule.batch == 64


def test_batches_and_objectives_are_checked() -> None:
    assert batches_of("latency") == (1,)
    assert batches_of("throughput", 12) == (12,)
    with pytest.raises(ScheduleError, match="unknown objective 'speed': choose one of latency, throughput"):
        batches_of("speed")
    with pytest.raises(ScheduleError, match="add --objective throughput"):
        batches_of("latency", 4)
    with pytest.raises(ScheduleError, match="takes 1 to"):
        batches_of("throughput", 0)


def test_a_project_for_throughput_is_verified_up_to_the_board(
    tmp_path: Path, lenet_model: Path, lenet_images: Path
) -> None:
    design = compile_model(lenet_model, calibration=lenet_images, objective="throughput", batch=3)
    project = design.write(tmp_path / "project")
    try:
        environment.find()
    except environment.BoardClientError:
        report = run(project, lenet_images, board="none", samples=7)
    else:
        report = run(project, lenet_images, samples=7)
    assert_agrees(report)
    assert all(comparison.mismatches == 0 for layer in report.layers for comparison in layer.exact)
    subprocess.run(["make", "-s", "csim"], cwd=project, check=True, capture_output=True)
    about = json.loads((project / "design.json").read_text())["schedule"]
    assert about["batch"] == 3
    assert about["interval_cycles"] == ceil(about["launch_cycles"] / 3)
    assert about["interval_cycles"] < about["latency_cycles"]
    assert "launches of 3 samples" in (project / "report.html").read_text()

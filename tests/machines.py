"""Runs a machine without a project directory: lowered, emitted, compiled, and compared with the golden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from graphs import quantised, stress_inputs

from intarsia import golden
from intarsia.emit import emit_sources
from intarsia.fixed_point import Integers
from intarsia.machine.lower import lower
from intarsia.machine.machine import Machine
from intarsia.project.manifest import manifest
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.plan import Schedule
from intarsia.schedule.pure import dataflow, sequential
from intarsia.simulation.build import build_sources
from intarsia.task_graph import TaskGraph, Trace
from intarsia.verify.csim_runner import CsimRunner
from intarsia.verify.hardware_runner import HardwareRunner
from intarsia.work import MacWork


def simulate(
    graph: TaskGraph, machine: Machine, inputs: Mapping[str, Integers], flags: tuple[str, ...] = ()
) -> Trace:
    """Every tensor that the C-simulation of a machine shows, for raw inputs (samples, *tensor shape)."""
    about = manifest(machine, graph, board="none", clock_mhz=100.0, files={})
    library = build_sources(emit_sources(machine, "test"), flags)
    runner = CsimRunner(about, library, machine.weights)
    trace = HardwareRunner(runner, graph).trace(dict(inputs))
    assert runner.fault == ""
    return trace


def assert_equals_golden(graph: TaskGraph, schedule: Schedule, flags: tuple[str, ...] = ()) -> Machine:
    """Every tensor but the inputs is seen, and is the golden's in every bit, on stress inputs."""
    machine = lower(graph, schedule, "battery")
    inputs = stress_inputs(graph)
    found = simulate(graph, machine, inputs, flags)
    expected = golden.run(graph, inputs)
    assert set(found) == set(expected) - set(graph.inputs)
    for task in graph.tasks:
        wrong = np.argwhere(found[task.output] != expected[task.output])
        if len(wrong):
            first = tuple(wrong[0])
            raise AssertionError(
                f"{task.name} ({task.operator}): {len(wrong)} of {found[task.output].size} elements differ; at "
                f"{first} golden {expected[task.output][first]}, simulation {found[task.output][first]}"
            )
    return machine


def pure_schedule(graph: TaskGraph, kind: str, lanes: int, outputs: int) -> Schedule:
    """A pure schedule whose engines make `outputs` channels per pass."""
    if kind == "sequential":
        return sequential(graph, lanes, outputs)
    macs = [task.name for task in graph.tasks if isinstance(task.operator.work(task, graph), MacWork)]
    return dataflow(graph, lanes, dict.fromkeys(macs, outputs))


def with_form(schedule: Schedule, form: str) -> Schedule:
    """The schedule whose engines are told how to multiply circulant weights."""
    units = tuple(replace(unit, form=form) if unit.is_engine else unit for unit in schedule.units)
    return replace(schedule, units=units)


def check(
    graph: TaskGraph,
    kind: str,
    lanes: int,
    outputs: int,
    options: QuantiseOptions | None = None,
    flags: tuple[str, ...] = (),
) -> Machine:
    """Quantises a float graph, schedules it and compares its machine with the golden."""
    integers = quantised(graph, options)
    return assert_equals_golden(integers, pure_schedule(integers, kind, lanes, outputs), flags)

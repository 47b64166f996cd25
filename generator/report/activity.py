"""What every unit does in every phase: for which task, when, and how much of that is useful work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

from ..machine.identifiers import camel_case, identifiers
from ..machine.machine import Machine, Process
from ..machine.wiring import COLLECT, Wiring, wire
from ..schedule.bounds import multipliers
from ..schedule.plan import Assignment, Phase, Schedule
from ..task_graph import TaskGraph

if TYPE_CHECKING:
    from ..schedule.stages import PhaseCost
    from ..simulation.timed import PhaseTiming

SWITCHES = ("merge", "route", "tee")
"""Kernels that only pass words on: they belong to a unit, but are none of its work."""


@dataclass(frozen=True)
class Activity:
    """A unit at work for a task, or a feed or collect that moves a tensor.

    Attributes:
        unit: name of the unit, the feed or collect.
        about: the task, or the tensor.
        task: the task, or the one that made the tensor; empty for inputs of the model.
        start: first cycle, counted from the start of the phase.
        end: last cycle.
        busy: share of the time that is work: multiplications of an engine's multipliers, trips of any other unit.
    """

    unit: str
    about: str
    task: str
    start: int
    end: int
    busy: float


@dataclass(frozen=True)
class Bottleneck:
    """The process of most trips: a phase takes at least as many cycles."""

    unit: str
    kernel: str
    about: str
    trips: int


@dataclass(frozen=True)
class PhaseActivity:
    """One phase of the schedule as it runs.

    Attributes:
        pattern: how the tasks run.
        tasks: names, in topological order.
        cycles: of one sample.
        interval: cycles per sample in launches of as many as the kernel takes.
        macs: multiplications that the tasks need.
        in_use: multipliers of the engines that have a task.
        multipliers: multipliers of the datapath.
        activities: in datapath order.
        bound_by: what would have to shrink first.
    """

    pattern: str
    tasks: tuple[str, ...]
    cycles: int
    interval: int
    macs: int
    in_use: int
    multipliers: int
    activities: tuple[Activity, ...]
    bound_by: Bottleneck

    @property
    def utilisation(self) -> float:
        """Share of the multipliers' cycles that are multiplications."""
        return utilisation(self.macs, self.multipliers, self.interval)


def utilisation(macs: int, multipliers: int, cycles: int) -> float:
    """Multiplications per multiplier and cycle; 0 where there are no multipliers."""
    return macs / (multipliers * cycles) if multipliers and cycles else 0.0


def phase_activities(
    graph: TaskGraph,
    schedule: Schedule,
    machine: Machine,
    times: Sequence[PhaseTiming | PhaseCost],
    timings: Sequence[PhaseTiming] | None = None,
) -> tuple[PhaseActivity, ...]:
    """Every phase.

    Args:
        graph: quantised task graph.
        schedule: what runs where.
        machine: the datapath of that schedule.
        times: of each phase.
        timings: of the timed C-simulation; without them every unit is shown from the start of its phase, for as long as
            it would take if nobody made it wait.
    """
    observer = _Observer(graph, schedule, machine)
    return tuple(
        observer.phase(index, time, timings[index] if timings else None) for index, time in enumerate(times)
    )


def share_macs(graph: TaskGraph, assignment: Assignment, lanes: int) -> int:
    """Multiplications of a unit's share of a task."""
    task = graph.task(assignment.task)
    macs = task.operator.macs(task, graph)
    if assignment.words is None:
        return macs
    channels = graph.output_tensor(task).channels
    first, end = (min(word * lanes, channels) for word in assignment.words)
    return macs * (end - first) // channels


@dataclass(frozen=True, eq=False)
class _Observer:
    graph: TaskGraph
    schedule: Schedule
    machine: Machine

    @cached_property
    def wiring(self) -> Wiring:
        return wire(self.graph, self.schedule)

    @cached_property
    def processes(self) -> Mapping[str, tuple[Process, ...]]:
        """By unit, feed or collect: its processes."""
        own = (*self.wiring.feeds, COLLECT)
        ids = identifiers([unit.name for unit in self.schedule.units], own=own)
        return {
            unit: tuple(process for process in self.machine.processes if _belongs(process, camel_case(stem)))
            for unit, stem in ids.items()
        }

    @cached_property
    def trips(self) -> Mapping[str, tuple[int, ...]]:
        """By config: iterations in each phase."""
        return {config.name: tuple(rows[0].trips for rows in config.rows) for config in self.machine.configs}

    def phase(self, index: int, time: PhaseTiming | PhaseCost, timing: PhaseTiming | None) -> PhaseActivity:
        phase = self.schedule.phases[index]
        cycles, batch = time.cycles, self.schedule.batch
        shares = {assignment.unit: assignment for assignment in phase.assignments}
        about = self._about(index, phase)
        return PhaseActivity(
            pattern=phase.pattern.value,
            tasks=phase.tasks,
            cycles=cycles,
            interval=ceil(time.launch(batch) / batch),
            macs=sum(share_macs(self.graph, share, self.schedule.lanes) for share in phase.assignments),
            in_use=sum(self.schedule.unit(unit).outputs for unit in shares) * self.schedule.lanes,
            multipliers=multipliers(self.schedule),
            activities=tuple(
                self._activity(index, unit, text, shares.get(unit), cycles, timing)
                for unit, text in about.items()
            ),
            bound_by=max(
                self._trips(index, about),
                key=lambda b: (b.trips, b.kernel not in SWITCHES, b.kernel == "mac"),
            ),
        )

    def _about(self, index: int, phase: Phase) -> dict[str, str]:
        """What each unit that has work in a phase works on, in datapath order."""
        fed = zip(self.wiring.feeds, self.wiring.fed[index], strict=True)
        tasks = {assignment.unit: assignment.task for assignment in phase.assignments}
        return (
            {feed: tensor for feed, tensor in fed if tensor}
            | {unit.name: tasks[unit.name] for unit in self.schedule.units if unit.name in tasks}
            | {COLLECT: self.wiring.stored[index]}
        )

    def _trips(self, index: int, about: Mapping[str, str]) -> Iterator[Bottleneck]:
        for unit, text in about.items():
            for process in self.processes[unit]:
                yield Bottleneck(unit, process.function, text, self.trips[process.config][index])

    def _activity(
        self,
        index: int,
        unit: str,
        about: str,
        share: Assignment | None,
        cycles: int,
        timing: PhaseTiming | None,
    ) -> Activity:
        work = [process.config for process in self.processes[unit] if process.function not in SWITCHES]
        trips = max(self.trips[config][index] for config in work)
        if timing:
            times = [timing.processes[config] for config in work]
            start, end = min(time.started for time in times), max(time.ended for time in times)
        else:
            end = cycles if unit == COLLECT else min(trips, cycles)
            start = max(0, cycles - trips) if unit == COLLECT else 0
        lasts = max(end - start, 1)
        if share and (outputs := self.schedule.unit(unit).outputs):
            macs = share_macs(self.graph, share, self.schedule.lanes)
            busy = utilisation(macs, outputs * self.schedule.lanes, lasts)
        else:
            busy = trips / lasts
        producer = self.graph.producers.get(about)
        task = share.task if share else producer.name if producer else ""
        return Activity(unit, about, task, start, end, min(busy, 1.0))


def _belongs(process: Process, stem: str) -> bool:
    """True for the unit's own kernels and for the switches around it, which lowering names after the unit."""
    kernel = process.function.rpartition("_")[2]  # softmax_scale is the process Scale of its unit
    suffixes = rf"(|Route|Tee|In\d*Merge|{kernel.capitalize()})"
    return re.fullmatch(re.escape(stem) + suffixes, process.config) is not None

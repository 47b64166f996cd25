"""Cycles of a phase: the flows through all its processes, in datapath order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from ..cost import NO_DRAM, PHASE_OVERHEAD, DramTime, Flow, busy, through
from ..machine.hardware import Hardware
from ..machine.stage import Stage, Steps
from ..machine.wiring import COLLECT, Traffic, Wiring
from .plan import Schedule


@dataclass(frozen=True)
class PhaseCost:
    """Cycles of a phase.

    Attributes:
        first: of one sample, if nothing but the datapath takes time.
        interval: from one sample of a launch to the next: what the busiest process takes for each.
        tasks: of each task if the others never made it wait.
        dram: what DRAM adds.
    """

    first: int
    interval: int
    tasks: dict[str, int]
    dram: DramTime = NO_DRAM

    def launch(self, samples: int) -> int:
        """Cycles of the phase for so many samples, one close behind the other."""
        return self.dram.launch(self.first + (samples - 1) * self.interval, samples)

    @property
    def cycles(self) -> int:
        """Of one sample."""
        return self.launch(1)


def phase_costs(
    schedule: Schedule, hardware: Mapping[str, Hardware], wiring: Wiring
) -> tuple[PhaseCost, ...]:
    """Cost of every phase; phases whose units do the same, on the same traffic, are costed once."""
    known: dict[Hashable, PhaseCost] = {}
    result = []
    for index, phase in enumerate(schedule.phases):
        units = tuple(
            (one.unit, phase.tasks.index(one.task), tuple(hardware[one.unit].stages(index)))
            for one in phase.assignments
        )
        alike = units, frozenset(wiring.traffic[index].items())
        if alike not in known:
            known[alike] = phase_cost(schedule, index, hardware, wiring)
        cost = known[alike]
        result.append(replace(cost, tasks=dict(zip(phase.tasks, cost.tasks.values(), strict=True))))
    return tuple(result)


def phase_cost(schedule: Schedule, index: int, hardware: Mapping[str, Hardware], wiring: Wiring) -> PhaseCost:
    """Cost of one phase."""
    traffic = wiring.traffic[index]
    flows: dict[str, Flow] = {}
    tasks: dict[str, int] = {}
    ends: list[float] = []
    busiest = 0

    def run(stage: Stage, inputs: Sequence[Flow] = ()) -> Flow:
        nonlocal busiest
        flow = through(stage, inputs)
        ends.append(flow.end)
        busiest = max(busiest, busy(stage))
        return flow

    def arriving(target: str, port: int) -> Flow:
        edges = wiring.into(target, port)
        active = [edge for edge in edges if edge in traffic]
        sources = [flows[edge.source] for edge in active]
        return sources[0] if len(edges) == 1 else run(merging([traffic[edge] for edge in active]), sources)

    def leaving(source: str, flow: Flow) -> None:
        edges = wiring.out_of(source)
        words = max(traffic[edge].words for edge in edges if edge in traffic)
        flows[source] = run(Stage.passing("route", words), [flow]) if len(edges) > 1 else flow

    for number, feed in enumerate(wiring.feeds):
        if words := max((traffic[edge].words for edge in wiring.out_of(feed) if edge in traffic), default=0):
            kernel = "fetch_view" if any(reads[number].view for reads in wiring.reads) else "fetch"
            leaving(feed, run(Stage(kernel, words, (), Steps.even(words))))
    for assignment in schedule.phases[index].assignments:
        stages = hardware[assignment.unit].stages(index)
        trips = max(stage.trips for stage in stages)
        tasks[assignment.task] = max(trips, tasks.get(assignment.task, 0))
        ports = sorted({edge.port for edge in traffic if edge.target == assignment.unit})
        operands = [arriving(assignment.unit, port) for port in ports]
        flows_in = operands[:1]
        for stage in stages:  # the second operand goes to the stage that reads it
            flows_in = [run(stage, [*flows_in, *operands[1:]][: len(stage.reads)])]
        (flow,) = flows_in
        words = max(traffic[edge].words for edge in wiring.out_of(assignment.unit) if edge in traffic)
        leaving(assignment.unit, run(Stage.passing("tee", words), [flow]))
    stored = sum(flow.words for edge, flow in traffic.items() if edge.target == COLLECT)
    run(Stage.passing("collect", stored), [arriving(COLLECT, 0)])
    return PhaseCost(ceil(max(ends)) + PHASE_OVERHEAD, busiest, tasks)


def merging(sources: Sequence[Traffic]) -> Stage:
    """The process that takes runs of words from its sources in turn."""
    round_words = sum(source.run for source in sources)
    reads = []
    before = 0
    for source in sources:
        first, last = before + 1, before + source.run
        reads.append(
            Steps.of((1, first), (source.run, last), (source.words, last + (source.rounds - 1) * round_words))
        )
        before = last
    words = sum(source.words for source in sources)
    return Stage("merge", words, tuple(reads), Steps.even(words), passes=len(sources) == 1)

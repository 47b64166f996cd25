"""Cycles of a phase: the flows through all its processes, in datapath order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import ceil

from ..cost import PHASE_OVERHEAD, Flow, through
from ..machine.hardware import Hardware, Stage
from ..machine.wiring import COLLECT, Wiring
from .plan import Schedule


@dataclass(frozen=True)
class PhaseCost:
    """Cycles of a phase, and of each of its tasks if the others never made it wait."""

    cycles: int
    tasks: dict[str, int]


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
        result.append(PhaseCost(cost.cycles, dict(zip(phase.tasks, cost.tasks.values(), strict=True))))
    return tuple(result)


def phase_cost(schedule: Schedule, index: int, hardware: Mapping[str, Hardware], wiring: Wiring) -> PhaseCost:
    """Cost of one phase."""
    traffic = wiring.traffic[index]
    flows: dict[str, Flow] = {}
    tasks: dict[str, int] = {}

    def arriving(target: str, port: int) -> Flow:
        edges = wiring.into(target, port)
        active = [edge for edge in edges if edge in traffic]
        sources = [flows[edge.source] for edge in active]
        if len(edges) == 1:
            return sources[0]
        return through(_pass("merge", sum(traffic[edge].words for edge in active)), sources)

    def leaving(source: str, flow: Flow) -> None:
        words = max(traffic[edge].words for edge in wiring.out_of(source) if edge in traffic)
        flows[source] = through(_pass("route", words), [flow]) if len(wiring.out_of(source)) > 1 else flow

    for feed in wiring.feeds:
        if words := max((traffic[edge].words for edge in wiring.out_of(feed) if edge in traffic), default=0):
            leaving(feed, through(_pass("fetch", words)))
    for assignment in schedule.phases[index].assignments:
        stages = hardware[assignment.unit].stages(index)
        trips = max(stage.trips for stage in stages)
        tasks[assignment.task] = max(trips, tasks.get(assignment.task, 0))
        ports = sorted({edge.port for edge in traffic if edge.target == assignment.unit})
        flow = through(stages[0], [arriving(assignment.unit, port) for port in ports])
        for stage in stages[1:]:
            flow = through(stage, [flow])
        words = max(traffic[edge].words for edge in wiring.out_of(assignment.unit) if edge in traffic)
        leaving(assignment.unit, through(_pass("tee", words), [flow]))
    stored = sum(flow.words for edge, flow in traffic.items() if edge.target == COLLECT)
    last = through(_pass("collect", stored), [arriving(COLLECT, 0)])
    return PhaseCost(ceil(last.end) + PHASE_OVERHEAD, tasks)


def _pass(kernel: str, words: int) -> Stage:
    return Stage(kernel, words, words)

"""Cycles of a phase: the flows through all its processes, in datapath order."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ..cost import PHASE_OVERHEAD, Flow, through
from ..machine.hardware import Hardware, Stage
from ..machine.wiring import COLLECT, Edge, Wiring
from .plan import Schedule


@dataclass(frozen=True)
class PhaseCost:
    """Cycles of a phase, and of each of its tasks if the others never made it wait."""

    cycles: int
    tasks: dict[str, int]


def phase_cost(schedule: Schedule, index: int, hardware: dict[str, Hardware], wiring: Wiring) -> PhaseCost:
    """Cost of one phase."""
    flowing = wiring.words[index]
    flows: dict[str, Flow] = {}
    tasks: dict[str, int] = {}

    def arriving(target: str, port: int) -> Flow:
        edges = wiring.into(target, port)
        edge = next(edge for edge in edges if edge in flowing)
        flow = flows[edge.source]
        return through(_pass("select", flowing[edge]), [flow]) if len(edges) > 1 else flow

    def leaving(source: str, flow: Flow) -> None:
        words = max(flowing[edge] for edge in wiring.out_of(source) if edge in flowing)
        flows[source] = through(_pass("route", words), [flow]) if len(wiring.out_of(source)) > 1 else flow

    for feed in wiring.feeds:
        if words := max((flowing[edge] for edge in wiring.out_of(feed) if edge in flowing), default=0):
            leaving(feed, through(_pass("fetch", words)))
    for assignment in schedule.phases[index].assignments:
        stages = hardware[assignment.unit].stages(assignment.task)
        tasks[assignment.task] = max(stage.trips for stage in stages)
        ports = sorted(edge.port for edge in flowing if edge.target == assignment.unit)
        flow = through(stages[0], [arriving(assignment.unit, port) for port in ports])
        for stage in stages[1:]:
            flow = through(stage, [flow])
        words = max(flowing[edge] for edge in wiring.out_of(assignment.unit) if edge in flowing)
        leaving(assignment.unit, through(_pass("tee", words), [flow]))
    stored: Edge = next(edge for edge in flowing if edge.target == COLLECT)
    last = through(_pass("collect", flowing[stored]), [arriving(COLLECT, 0)])
    return PhaseCost(ceil(last.end) + PHASE_OVERHEAD, tasks)


def _pass(kernel: str, words: int) -> Stage:
    return Stage(kernel, words, words)

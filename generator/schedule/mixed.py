"""The mixed schedule: the best sequence of sequential and dataflow phases on given engines, provably.

Candidate phases are costed one by one; the exact dynamic programme (exact/) then chooses among all sequences of them.
"""

from __future__ import annotations

from ..machine.hardware import words_of
from ..machine.units.kinds import build_hardware
from ..machine.wiring import wire
from ..task_graph import TaskGraph
from .exact.dynamic_programme import solve
from .exact.problem import Candidate, Problem, Tensor
from .phases import Engines, candidate_phases
from .plan import Phase, Schedule, ScheduleError
from .stages import phase_cost

NEVER = 1 << 40
"""Cycles of what the datapath cannot do: spill a tensor to DRAM."""


PhaseCosts = dict[tuple[object, ...], int | None]
"""Cycles of phases that were costed before, by what their cost depends on; None for what the datapath cannot run."""


def mixed(
    graph: TaskGraph, engines: Engines, capacity_words: int, costs: PhaseCosts | None = None
) -> Schedule:
    """The schedule of fewest cycles on the engines.

    Args:
        graph: quantised task graph.
        engines: the datapath.
        capacity_words: on-chip words for tensors that wait between phases.
        costs: kept from call to call for the same graph: many phases recur on other engines.

    Raises:
        ScheduleError: no sequence of phases runs the graph within the capacity.
    """
    costs = {} if costs is None else costs
    phases: dict[tuple[frozenset[str], str], Phase] = {}
    candidates = []
    for phase in candidate_phases(graph, engines):
        key = _key(engines, phase)
        if key not in costs:
            try:
                costs[key] = phase_cycles(graph, engines, phase)
            except ScheduleError:  # a link backwards, or two results
                costs[key] = None
        cycles = costs[key]
        if cycles is None:
            continue
        candidate = Candidate(frozenset(phase.tasks), cycles, _label(phase))
        candidates.append(candidate)
        phases[candidate.tasks, candidate.label] = phase
    problem = Problem(
        tasks=tuple(task.name for task in graph.tasks),
        tensors=_tensors(graph, engines.lanes),
        candidates=_pareto(candidates),
        capacity_words=capacity_words,
    )
    solution = solve(problem, beam=500)
    if solution.objective.spilled_words:
        raise ScheduleError(f"tensors between phases do not fit {capacity_words} on-chip words")
    chosen = tuple(phases[candidate.tasks, candidate.label] for candidate in solution.phases)
    used = {assignment.unit for phase in chosen for assignment in phase.assignments}
    units = tuple(unit for unit in engines.units if unit.name in used)
    patterns = {phase.pattern.value for phase in chosen}
    kind = patterns.pop() if len(patterns) == 1 else "mixed"
    return Schedule(kind, engines.lanes, units, chosen)


def phase_cycles(graph: TaskGraph, engines: Engines, phase: Phase) -> int:
    """Cycles of a phase by itself.

    Raises:
        ScheduleError: the datapath cannot run it.
    """
    used = {assignment.unit for assignment in phase.assignments}
    units = tuple(unit for unit in engines.units if unit.name in used)
    alone = Schedule("candidate", engines.lanes, units, (phase,))
    wiring = wire(graph, alone)
    return phase_cost(alone, 0, build_hardware(graph, alone), wiring).cycles


def _key(engines: Engines, phase: Phase) -> tuple[object, ...]:
    """What the cost of a phase depends on: tasks, shares, and the units' sizes and order, but not which units they are."""
    used = {assignment.unit for assignment in phase.assignments}
    in_order = [unit for unit in engines.units if unit.name in used]
    about = {unit.name: (place, unit.kind, unit.outputs) for place, unit in enumerate(in_order)}
    return (engines.lanes, *((a.task, a.words, about[a.unit]) for a in phase.assignments))


def _tensors(graph: TaskGraph, lanes: int) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=name,
            producer=graph.producers[name].name if name in graph.producers else None,
            consumers=tuple(task.name for task in graph.consumers[name]),
            words=words_of(graph, name, lanes),
            is_output=name in graph.outputs,
            write_cycles=NEVER,
            read_cycles=NEVER,
        )
        for name in graph.tensors
    )


def _pareto(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """For each set of tasks the fastest candidate: none needs working memory, so the others never win."""
    best: dict[frozenset[str], Candidate] = {}
    for candidate in candidates:
        known = best.get(candidate.tasks)
        if known is None or (candidate.cycles, candidate.label) < (known.cycles, known.label):
            best[candidate.tasks] = candidate
    return tuple(best.values())


def _label(phase: Phase) -> str:
    return " ".join(f"{a.task}@{a.unit}{a.words or ''}" for a in phase.assignments)

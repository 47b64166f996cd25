"""The mixed schedule: the best sequence of sequential and dataflow phases on given engines, provably.

Candidate phases are costed one by one; the exact dynamic programme (exact/) then chooses among all sequences of them. Where
weights are streamed, a candidate also says how long its weights take to come, and how much of the next one's it hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..cost import PHASE_OVERHEAD
from ..machine.hardware import words_of
from ..machine.units.kinds import build_hardware, is_engine_task
from ..machine.wiring import wire
from ..task_graph import TaskGraph
from .bundles import bundles
from .exact.dynamic_programme import solve
from .exact.problem import Candidate, Problem, Tensor
from .loads import Loads, Streaming, loads_of, with_loads
from .phases import Engines, candidate_phases, phases_in_turn
from .plan import Phase, Schedule, ScheduleError, Weights
from .stages import phase_cost

NEVER = 1 << 40
"""Cycles of what the datapath cannot do: spill a tensor to DRAM."""


@dataclass(frozen=True)
class PhaseFigures:
    """A phase by itself: its cycles, and the weights that it loads where they are streamed."""

    cycles: int
    loads: Loads


PhaseCosts = dict[tuple[object, ...], PhaseFigures | None]
"""Phases that were costed before, by what their cost depends on; None for what the datapath cannot run."""


def mixed(
    graph: TaskGraph,
    engines: Engines,
    capacity_words: int,
    costs: PhaseCosts | None = None,
    streaming: Streaming | None = None,
    batch: int = 1,
) -> Schedule:
    """The schedule of fewest cycles on the engines, for launches of so many samples.

    Args:
        graph: quantised task graph.
        engines: the datapath.
        capacity_words: on-chip words for tensors that wait between phases.
        costs: kept from call to call for the same graph: many phases recur on other engines.
        streaming: how weights come from DRAM; None where they are resident.
        batch: samples per launch.

    Raises:
        ScheduleError: no sequence of phases runs the graph within the capacity, or one pass of a task needs more weights
            than an engine's memory holds.
    """
    costs = {} if costs is None else costs
    phases: dict[tuple[frozenset[str], str], tuple[Phase, ...]] = {}
    candidates = []

    def offer(sequence: tuple[Phase, ...]) -> bool:
        figures = [_figures(graph, engines, phase, costs, batch) for phase in sequence]
        known = [one for one in figures if one is not None]
        if len(known) < len(figures) or (streaming and not all(streaming.holds(one.loads) for one in known)):
            return False
        candidate = _candidate(sequence, known, streaming)
        candidates.append(candidate)
        phases[candidate.tasks, candidate.label] = sequence
        return True

    for phase in candidate_phases(graph, engines):
        offer((phase,))
    if streaming:
        for bundle in bundles(graph):
            tasks = frozenset(task.name for task in bundle.tasks)
            if is_engine_task(graph, bundle.task) and not any(one.tasks == tasks for one in candidates):
                offer(phases_in_turn(graph, engines, bundle, streaming.entries))
    problem = Problem(
        tasks=tuple(task.name for task in graph.tasks),
        tensors=tensors_between(graph, engines.lanes),
        candidates=_pareto(candidates),
        capacity_words=capacity_words // batch,
    )
    solution = solve(problem, beam=500)
    if solution.objective.spilled_words:
        raise ScheduleError(f"tensors between phases do not fit {capacity_words} on-chip words")
    chosen = tuple(phase for one in solution.phases for phase in phases[one.tasks, one.label])
    used = {assignment.unit for phase in chosen for assignment in phase.assignments}
    units = tuple(unit for unit in engines.units if unit.name in used)
    patterns = {phase.pattern.value for phase in chosen}
    kind = patterns.pop() if len(patterns) == 1 else "mixed"
    schedule = Schedule(kind, engines.lanes, units, chosen, batch=batch)
    if streaming is None:
        return schedule
    return replace(schedule, weights=streaming.weights, weight_bytes=streaming.word_bytes)


def _candidate(
    sequence: tuple[Phase, ...], figures: Sequence[PhaseFigures], streaming: Streaming | None
) -> Candidate:
    """Phases that follow one another, with what their weights make them and the phases around them wait."""
    tasks = frozenset(task for phase in sequence for task in phase.tasks)
    label = "; ".join(map(_label, sequence))
    cycles = [one.cycles for one in figures]
    if streaming is None:
        return Candidate(tasks, sum(cycles), label)
    loads = [streaming.cycles(one.loads) for one in figures]
    total = sum(with_loads(cycles, loads, streaming.weights))
    if streaming.weights is Weights.LOADED:
        return Candidate(tasks, total, label)
    return Candidate(
        tasks,
        total - loads[0],
        label,
        load_cycles=loads[0],
        hiding_cycles=max(cycles[-1] - PHASE_OVERHEAD, 0),
    )


def _figures(
    graph: TaskGraph, engines: Engines, phase: Phase, costs: PhaseCosts, batch: int
) -> PhaseFigures | None:
    """What is known of a phase; None if the datapath cannot run it."""
    key = (batch, *_key(engines, phase))
    if key not in costs:
        try:
            costs[key] = phase_figures(graph, engines, phase, batch)
        except ScheduleError:  # a link backwards, or two results
            costs[key] = None
    return costs[key]


def phase_figures(graph: TaskGraph, engines: Engines, phase: Phase, batch: int) -> PhaseFigures:
    """A phase by itself, for a launch of so many samples.

    Raises:
        ScheduleError: the datapath cannot run it.
    """
    used = {assignment.unit for assignment in phase.assignments}
    units = tuple(unit for unit in engines.units if unit.name in used)
    alone = Schedule("candidate", engines.lanes, units, (phase,))
    wiring = wire(graph, alone)
    hardware = build_hardware(graph, alone)
    return PhaseFigures(phase_cost(alone, 0, hardware, wiring).launch(batch), loads_of(hardware, 0))


def _key(engines: Engines, phase: Phase) -> tuple[object, ...]:
    """What the cost of a phase depends on: tasks, shares, and the units' sizes and order, but not which units they are."""
    used = {assignment.unit for assignment in phase.assignments}
    in_order = [unit for unit in engines.units if unit.name in used]
    about = {unit.name: (place, unit.kind, unit.outputs) for place, unit in enumerate(in_order)}
    return (engines.lanes, *((a.task, a.words, about[a.unit]) for a in phase.assignments))


def tensors_between(graph: TaskGraph, lanes: int) -> tuple[Tensor, ...]:
    """What may wait on chip between phases, and nowhere else."""
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
    """For each set of tasks the fastest candidate of each load: none needs working memory, so the others never win.

    A slower one hides more of the next load, but the fastest waits for it no longer than that.
    """
    best: dict[tuple[frozenset[str], int], Candidate] = {}
    for candidate in candidates:
        known = best.get(key := (candidate.tasks, candidate.load_cycles))
        if known is None or (candidate.cycles, candidate.label) < (known.cycles, known.label):
            best[key] = candidate
    return tuple(best.values())


def _label(phase: Phase) -> str:
    return " ".join(f"{a.task}@{a.unit}{a.words or ''}" for a in phase.assignments)

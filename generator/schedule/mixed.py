"""The mixed schedule: the best sequence of sequential and dataflow phases on given engines, provably.

Candidate phases are costed one by one; the exact dynamic programme (exact/) then chooses among all sequences of them. Where
weights are streamed, a candidate also says how long its weights take to come, and how much of the next one's it hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..cost import PHASE_OVERHEAD, Dram
from ..machine.hardware import words_of
from ..machine.memory import moved_words
from ..machine.units.kinds import build_hardware, is_engine_task
from ..machine.wiring import wire
from ..task_graph import TaskGraph
from .bundles import bundles
from .dram import UNLIMITED, Loads, Streaming, loads_of, with_loads
from .exact.dynamic_programme import solve
from .exact.problem import Candidate, Problem, Tensor
from .phases import Engines, candidate_phases, phases_in_turn
from .plan import Phase, Schedule, ScheduleError, Weights
from .stages import phase_cost


@dataclass(frozen=True)
class PhaseFigures:
    """A phase by itself.

    Attributes:
        cycles: if it never waits for DRAM.
        loads: weights, where they are streamed.
        moved: the tensor that it writes to memory, then those that it reads from there, with the words that it moves.
    """

    cycles: int
    loads: Loads
    moved: tuple[tuple[str, int], ...]


PhaseCosts = dict[tuple[object, ...], PhaseFigures | None]
"""Phases that were costed before, by what their cost depends on; None for what the datapath cannot run."""


def mixed(
    graph: TaskGraph,
    engines: Engines,
    bank_words: int = UNLIMITED,
    costs: PhaseCosts | None = None,
    streaming: Streaming | None = None,
    dram: Dram | None = None,
    batch: int = 1,
) -> Schedule:
    """The schedule of fewest cycles on the engines, for launches of so many samples.

    Args:
        graph: quantised task graph.
        engines: the datapath.
        bank_words: tensors of more words wait in DRAM between phases, for banks are as large as the largest tensor in them.
        costs: kept from call to call for the same graph: many phases recur on other engines.
        streaming: how weights come from DRAM; None where they are resident.
        dram: what tensors in DRAM cost, and those of the model's own; nothing if None.
        batch: samples per launch.

    Raises:
        ScheduleError: no sequence of phases runs the graph, or one pass of a task needs more weights than an engine's
            memory holds.
    """
    costs = {} if costs is None else costs
    phases: dict[tuple[frozenset[str], str], tuple[Phase, ...]] = {}
    candidates = []

    def offer(sequence: tuple[Phase, ...]) -> bool:
        figures = [_figures(graph, engines, phase, costs, batch) for phase in sequence]
        known = [one for one in figures if one is not None]
        if len(known) < len(figures) or (streaming and not all(streaming.holds(one.loads) for one in known)):
            return False
        cycles = [_cycles(graph, one, engines.lanes, bank_words, dram, batch) for one in known]
        candidate = _candidate(sequence, cycles, [one.loads for one in known], streaming)
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
        capacity_words=sum(words_of(graph, name, engines.lanes) for name in graph.tensors),
    )
    solution = solve(problem, beam=500)
    chosen = tuple(phase for one in solution.phases for phase in phases[one.tasks, one.label])
    used = {assignment.unit for phase in chosen for assignment in phase.assignments}
    units = tuple(unit for unit in engines.units if unit.name in used)
    patterns = {phase.pattern.value for phase in chosen}
    kind = patterns.pop() if len(patterns) == 1 else "mixed"
    figures = [_figures(graph, engines, phase, costs, batch) for phase in chosen]
    stored = {one.moved[0][0] for one in figures if one is not None}.difference(graph.outputs)
    spilled = tuple(sorted(name for name in stored if _is_large(graph, name, engines.lanes, bank_words)))
    schedule = Schedule(kind, engines.lanes, units, chosen, spilled=spilled, batch=batch)
    if streaming is None:
        return schedule
    return replace(schedule, weights=streaming.weights, weight_bytes=streaming.dram.weight_bytes)


def _cycles(
    graph: TaskGraph, figures: PhaseFigures, lanes: int, bank_words: int, dram: Dram | None, batch: int
) -> int:
    """Cycles of a phase with what it moves from and to DRAM, weights aside."""
    if dram is None:
        return figures.cycles
    large = [_is_large(graph, name, lanes, bank_words) for name, _ in figures.moved]
    words = sum(
        count
        for (name, count), is_large in zip(figures.moved, large, strict=True)
        if is_large or name in graph.inputs or name in graph.outputs
    )
    return dram.time(words, large[0] + any(large[1:])).launch(figures.cycles, batch)


def _is_large(graph: TaskGraph, tensor: str, lanes: int, bank_words: int) -> bool:
    """True if a tensor, not one of the model's own, waits in DRAM between phases."""
    own = tensor in graph.inputs or tensor in graph.outputs
    return not own and words_of(graph, tensor, lanes) > bank_words


def _candidate(
    sequence: tuple[Phase, ...], cycles: Sequence[int], weights: Sequence[Loads], streaming: Streaming | None
) -> Candidate:
    """Phases that follow one another, with what their weights make them and the phases around them wait."""
    tasks = frozenset(task for phase in sequence for task in phase.tasks)
    label = "; ".join(map(_label, sequence))
    if streaming is None:
        return Candidate(tasks, sum(cycles), label)
    loads = [streaming.cycles(load) for load in weights]
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
    cycles = phase_cost(alone, 0, hardware, wiring).launch(batch)
    return PhaseFigures(cycles, loads_of(hardware, 0), moved_words(wiring, 0))


def _key(engines: Engines, phase: Phase) -> tuple[object, ...]:
    """What the cost of a phase depends on: tasks, shares, and the units' sizes and order, but not which units they are."""
    used = {assignment.unit for assignment in phase.assignments}
    in_order = [unit for unit in engines.units if unit.name in used]
    about = {unit.name: (place, unit.kind, unit.outputs) for place, unit in enumerate(in_order)}
    return (engines.lanes, *((a.task, a.words, about[a.unit]) for a in phase.assignments))


def tensors_between(graph: TaskGraph, lanes: int) -> tuple[Tensor, ...]:
    """What tasks read; where a tensor waits follows from its size, and what that costs is part of the candidates."""
    return tuple(
        Tensor(
            name=name,
            producer=graph.producers[name].name if name in graph.producers else None,
            consumers=tuple(task.name for task in graph.consumers[name]),
            words=words_of(graph, name, lanes),
            is_output=name in graph.outputs,
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

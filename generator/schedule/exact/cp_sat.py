"""A second formulation, for Google's CP-SAT solver: an independent check on the dynamic programme.

Variables: which candidates are phases, the position of each task's phase, which waiting tensors are spilled, and which
candidate then reads which of them; where phases load something, also which candidate stands at which position. Tensors on
chip, and working memory, are intervals over positions under a cumulative limit. The costs are minimised one after the other, each with those before held at their best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import IntarsiaError
from .errors import NoScheduleError
from .evaluate import crossing, evaluate
from .problem import Candidate, Problem, Tensor
from .solution import Placement, Solution
from .spill import spill_cycles, spill_words

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Linear = Any
"""A linear expression of the solver: its own types do not tell an expression from an int."""


@dataclass(frozen=True)
class Model:
    """The problem in the solver's terms.

    Attributes:
        model: constraints and variables.
        chosen: candidate -> whether it is a phase.
        position: task -> position of its phase.
        spilled: tensor -> whether it is spilled; only tensors that may have to wait.
        costs: cycles, spilled words and peak words, to be minimised in this order.
    """

    model: cp_model.CpModel
    chosen: dict[Candidate, cp_model.IntVar]
    position: dict[str, cp_model.IntVar]
    spilled: dict[str, cp_model.IntVar]
    costs: tuple[Linear, Linear, Linear]


def solve(problem: Problem, *, max_seconds: float | None = None) -> Solution:
    """A solution with the least costs. Among those with equal costs, it is not the one with the smallest text.

    Args:
        problem: what to solve.
        max_seconds: for each of the costs; when the time is over, the best solution so far, with the bound proved.

    Raises:
        IntarsiaError: OR-Tools is missing.
        NoScheduleError: there is no solution, or none was found in time.
    """
    cp_model = _ortools()
    built = build(problem)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.linearization_level = 2
    solver.parameters.optimize_with_lb_tree_search = True
    if max_seconds is not None:
        solver.parameters.max_time_in_seconds = max_seconds
    optimal = True
    bounds = []
    solution: Solution | None = None
    for cost in built.costs:
        built.model.minimize(cost)
        status = solver.solve(built.model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            if solution is None:
                why = "no solution exists" if status == cp_model.INFEASIBLE else "none was found in time"
                raise NoScheduleError(f"no sequence of candidate phases: {why}")
            optimal = False
            break
        optimal &= status == cp_model.OPTIMAL
        bounds.append(round(solver.best_objective_bound))
        solution = _read(problem, built, solver, optimal, bounds[0])
        built.model.add(cost == round(solver.objective_value))
        built.model.clear_hints()  # type: ignore[no-untyped-call]
        for variable in (*built.chosen.values(), *built.position.values(), *built.spilled.values()):
            built.model.add_hint(variable, solver.value(variable))
    assert solution is not None
    return Solution(solution.phases, solution.placements, solution.objective, optimal, bounds[0])


def build(problem: Problem) -> Model:
    """The model of a problem.

    Raises:
        IntarsiaError: OR-Tools is missing.
    """
    model = _ortools().CpModel()
    last = len(problem.tasks) - 1
    chosen = {
        candidate: model.new_bool_var(f"phase {index}") for index, candidate in enumerate(problem.candidates)
    }
    position = {task: model.new_int_var(0, last, f"position of {task}") for task in problem.tasks}
    _partition(model, problem, chosen, position)
    waiting = {
        tensor: model.new_bool_var(f"{tensor.name} waits") for tensor in problem.tensors if tensor.placeable
    }
    spilled = {tensor: model.new_bool_var(f"{tensor.name} is spilled") for tensor in waiting}
    for tensor, waits in waiting.items():
        model.add(waits == 1 - _together(chosen, {tensor.producer, *tensor.consumers}))
        model.add_implication(spilled[tensor], waits)
    _boundaries(model, problem, chosen, spilled)
    peak = _memory(model, problem, chosen, position, waiting, spilled)
    cycles: Linear = sum(candidate.cycles * variable for candidate, variable in chosen.items())
    words: Linear = 0
    cycles += _exposed_loads(model, problem, chosen, position)
    for tensor, variable in spilled.items():
        cycles += spill_cycles((tensor,), ()) * variable
        words += spill_words((tensor,), ()) * variable
        for reading in _reads(model, tensor, chosen, variable):
            cycles += spill_cycles((), (tensor,)) * reading
            words += spill_words((), (tensor,)) * reading
    named = {tensor.name: variable for tensor, variable in spilled.items()}
    return Model(model, chosen, position, named, (cycles, words, peak))


def _partition(
    model: cp_model.CpModel,
    problem: Problem,
    chosen: dict[Candidate, cp_model.IntVar],
    position: dict[str, cp_model.IntVar],
) -> None:
    """Every task in one phase, phases at positions of their own without gaps, in an order that respects the edges."""
    for task in problem.tasks:
        model.add_exactly_one(variable for candidate, variable in chosen.items() if task in candidate.tasks)
        model.add(position[task] < sum(chosen.values()))
    spans = []
    for candidate, variable in chosen.items():
        first, *others = sorted(candidate.tasks)
        for other in others:
            model.add(position[other] == position[first]).only_enforce_if(variable)
        spans.append(model.new_optional_fixed_size_interval_var(position[first], 1, variable, "phase"))
    model.add_no_overlap(spans)
    for task in problem.tasks:
        for earlier in problem.predecessors[task]:
            model.add(position[earlier] + 1 <= position[task] + _together(chosen, {earlier, task}))


def _exposed_loads(
    model: cp_model.CpModel,
    problem: Problem,
    chosen: dict[Candidate, cp_model.IntVar],
    position: dict[str, cp_model.IntVar],
) -> Linear:
    """Cycles that phases wait for their loads: at each position, what the phase at the position before does not hide."""
    loads = [candidate.load_cycles for candidate in problem.candidates]
    if not any(loads):
        return 0
    places = range(len(problem.tasks))
    load: list[Linear] = [0 for _ in places]
    hiding: list[Linear] = [0 for _ in places]
    for candidate, variable in chosen.items():
        at = [model.new_bool_var("at") for _ in places]
        model.add(sum(at) == variable)
        where = sum(place * here for place, here in zip(places, at, strict=True))
        model.add(position[min(candidate.tasks)] == where).only_enforce_if(variable)
        for place, here in zip(places, at, strict=True):
            load[place] += candidate.load_cycles * here
            hiding[place] += candidate.hiding_cycles * here
    waits = [model.new_int_var(0, max(loads), "waits for its load") for _ in places]
    for place, wait in zip(places, waits, strict=True):
        model.add(wait >= load[place] - (hiding[place - 1] if place else 0))
    return sum(waits)


def _memory(
    model: cp_model.CpModel,
    problem: Problem,
    chosen: dict[Candidate, cp_model.IntVar],
    position: dict[str, cp_model.IntVar],
    waiting: dict[Tensor, cp_model.IntVar],
    spilled: dict[Tensor, cp_model.IntVar],
) -> Linear:
    """The on-chip words of the phase that needs most, limited by the capacity."""
    size = len(problem.tasks)
    peak = model.new_int_var(0, problem.capacity_words, "peak")
    spans, words = [], []
    for candidate, variable in chosen.items():
        if candidate.working_words:
            start = position[min(candidate.tasks)]
            spans.append(model.new_optional_fixed_size_interval_var(start, 1, variable, "working memory"))
            words.append(candidate.working_words)
    for tensor, waits in waiting.items():
        assert tensor.producer is not None
        kept = model.new_bool_var(f"{tensor.name} is on chip")
        model.add(kept == waits - spilled[tensor])
        end = model.new_int_var(1, size, f"end of {tensor.name}")
        model.add_max_equality(end, [position[consumer] + 1 for consumer in tensor.consumers])
        length = model.new_int_var(1, size, f"life of {tensor.name}")
        start = position[tensor.producer]
        spans.append(model.new_optional_interval_var(start, length, end, kept, tensor.name))
        words.append(tensor.words)
    model.add_cumulative(spans, words, peak)
    return peak


def _boundaries(
    model: cp_model.CpModel,
    problem: Problem,
    chosen: dict[Candidate, cp_model.IntVar],
    spilled: dict[Tensor, cp_model.IntVar],
) -> None:
    """Room for the tensors that cross a phase's boundary; follows from the rest, and makes the proof much shorter."""
    for candidate, variable in chosen.items():
        room = problem.capacity_words - candidate.working_words
        boundary = [tensor for tensor in spilled if _crosses(tensor, candidate)]
        if sum(tensor.words for tensor in boundary) > room:
            kept: Linear = sum(tensor.words * (1 - spilled[tensor]) for tensor in boundary)
            model.add(kept <= room).only_enforce_if(variable)


def _crosses(tensor: Tensor, candidate: Candidate) -> bool:
    ends = {tensor.producer in candidate.tasks, *(task in candidate.tasks for task in tensor.consumers)}
    return len(ends) == 2


def _reads(
    model: cp_model.CpModel,
    tensor: Tensor,
    chosen: dict[Candidate, cp_model.IntVar],
    spilled: cp_model.IntVar,
) -> Iterator[cp_model.IntVar]:
    """For each set of tasks that would read the tensor in a later phase: whether it does so from off chip."""
    sets: dict[frozenset[str], list[cp_model.IntVar]] = {}
    for candidate, variable in chosen.items():
        if tensor.producer not in candidate.tasks and not candidate.tasks.isdisjoint(tensor.consumers):
            sets.setdefault(candidate.tasks, []).append(variable)
    for variables in sets.values():
        reading = model.new_bool_var(f"{tensor.name} is read back")
        model.add(reading >= sum(variables) + spilled - 1)
        yield reading


def _together(chosen: dict[Candidate, cp_model.IntVar], tasks: set[str | None]) -> Linear:
    """1 if these tasks are in one phase, else 0."""
    return sum(variable for candidate, variable in chosen.items() if tasks <= candidate.tasks)


def _read(
    problem: Problem, built: Model, solver: cp_model.CpSolver, optimal: bool, bound_cycles: int
) -> Solution:
    taken = [candidate for candidate, variable in built.chosen.items() if solver.boolean_value(variable)]
    phases = tuple(sorted(taken, key=lambda candidate: solver.value(built.position[min(candidate.tasks)])))
    placements: dict[str, Placement] = {
        tensor.name: "spilled" if solver.boolean_value(built.spilled[tensor.name]) else "chip"
        for tensor in crossing(problem, phases)
    }
    return Solution(phases, placements, evaluate(problem, phases, placements), optimal, bound_cycles)


def _ortools() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ImportError as error:
        raise IntarsiaError(
            "the CP-SAT solver needs OR-Tools, which is not installed: pip install 'intarsia[solver]'"
        ) from error
    return cp_model

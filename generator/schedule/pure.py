"""The two pure schedules, which are also the baselines of every other: all-sequential and all-dataflow."""

from __future__ import annotations

from collections.abc import Sequence

from ..machine.units.circulant_form import engine_of_blocks
from ..machine.units.kinds import kind_of, rank, shared_unit_name, unit_for
from ..machine.wiring import read_problem, reads_of
from ..task_graph import Task, TaskGraph
from ..work import MacWork
from .bundles import Bundle, bundles
from .phases import passes_within
from .plan import Assignment, Pattern, Phase, Schedule, Unit, Weights


def sequential(graph: TaskGraph, lanes: int, outputs: int, entries: int = 0, apart: bool = False) -> Schedule:
    """One unit of each kind; the mac tasks run one after the other.

    A task of another kind that alone reads the result of the task before it follows it through a link in the same
    phase: it needs none of the engine's multipliers, so nothing waits for it.

    Args:
        graph: the tasks.
        lanes: elements per word.
        outputs: output channels per pass of the engine.
        entries: if not 0, weights are prefetched, and a task with more weights than so many entries of the engine's memory
            is made in shares, one phase after the other.
        apart: gives circulant weights engines of their own, one for each size of blocks.

    Raises:
        ScheduleError: one pass of a task needs more entries.
    """
    units: dict[str, Unit] = {}
    phases: list[list[Assignment]] = []

    def leading(bundle: Bundle, busy: Sequence[Assignment]) -> list[Assignment]:
        """The moves and constants of a bundle, on units that are not busy."""
        result: list[Assignment] = []
        for leader in bundle.leaders:
            kind = kind_of(graph, leader).name
            number = sum(units[assignment.unit].kind == kind for assignment in (*busy, *result))
            unit = f"{kind}{number or ''}"
            units[unit] = unit_for(graph, leader, unit, 0)
            result.append(Assignment(leader.name, unit))
        return result

    for bundle in bundles(graph):
        task = bundle.task
        name = shared_unit_name(graph, task)
        if apart:
            name = engine_of_blocks(graph, task) or name
        units[name] = unit_for(graph, task, name, outputs)
        shares = (
            _shares(graph, task, lanes, outputs, entries) if entries and units[name].is_engine else [None]
        )
        if phases and not units[name].is_engine and _follows(graph, bundle, units[name], phases[-1], units):
            phases[-1] += [*leading(bundle, phases[-1]), Assignment(task.name, name)]
        elif len(shares) == 1:
            phases.append([*leading(bundle, ()), Assignment(task.name, name)])
        else:
            phases += [leading(Bundle((leader,), leader), ()) for leader in bundle.leaders]
            phases += [[Assignment(task.name, name, words)] for words in shares]
    ordered = tuple(sorted(units.values(), key=rank))
    sequence = tuple(Phase(Pattern.SEQUENTIAL, tuple(phase)) for phase in phases)
    return Schedule(
        "sequential", lanes, ordered, sequence, weights=Weights.PREFETCHED if entries else Weights.RESIDENT
    )


def dataflow(graph: TaskGraph, lanes: int, outputs: dict[str, int]) -> Schedule:
    """One unit for every task, all in one phase.

    Args:
        graph: the tasks.
        lanes: elements per word.
        outputs: output channels per pass of each mac task's unit.
    """
    units = tuple(unit_for(graph, task, task.name, outputs.get(task.name, 0)) for task in graph.tasks)
    assignments = tuple(Assignment(task.name, task.name) for task in graph.tasks)
    return Schedule("dataflow", lanes, units, (Phase(Pattern.DATAFLOW, assignments),))


def _shares(
    graph: TaskGraph, task: Task, lanes: int, outputs: int, entries: int
) -> Sequence[tuple[int, int] | None]:
    """Ranges of output words, as even as whole passes allow, whose weights fit so many entries each."""
    work = task.operator.work(task, graph)
    assert isinstance(work, MacWork)
    if work.batches:
        return [None]
    passes = passes_within(graph, task, lanes, entries)
    words = -(-work.outputs // lanes)
    most = max(passes * outputs // lanes, 1)
    if most >= words:
        return [None]
    count = -(-words // most)
    step = -(-words // count)
    whole = max(outputs // lanes, 1)
    step = -(-step // whole) * whole  # an engine's pass makes so many words; a share that cuts one wastes it
    return [(first, min(first + step, words)) for first in range(0, words, step)]


def _follows(
    graph: TaskGraph, bundle: Bundle, unit: Unit, phase: list[Assignment], units: dict[str, Unit]
) -> bool:
    """True if a task can take the phase's result through a link, and only that result leaves the phase so far."""
    last = graph.task(phase[-1].task)
    task = bundle.task
    made = {graph.task(assignment.task).output for assignment in phase}
    together = [*(assignment.task for assignment in phase), *(task.name for task in bundle.tasks)]
    return (
        task.inputs.count(last.output) == 1
        and graph.consumers[last.output] == (task,)
        and last.output not in graph.outputs
        and phase[0].words is None
        and rank(unit) > rank(units[phase[-1].unit])
        and made.isdisjoint(name for leader in bundle.leaders for name in leader.inputs)
        and not read_problem(graph, reads_of(graph, together))
    )

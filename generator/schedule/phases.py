"""Candidate phases: every way in which a few connected tasks can run at the same time on given engines.

The datapath repeats one pattern per engine: the engine, then a unit of every other kind. The mac tasks of a phase take contiguous
groups of engines, in order, so that links lead forward; a task that has several engines shares its output channels
among them. Other tasks follow on the units behind the group of the mac task before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import networkx as nx

from ..machine.hardware import words_of
from ..machine.units.constant import CONSTANT
from ..machine.units.depthwise import DEPTHWISE
from ..machine.units.engine import ENGINE
from ..machine.units.kinds import KINDS, is_engine_task, kind_of
from ..machine.units.move import MOVE
from ..machine.units.transpose import TRANSPOSE
from ..machine.units.window import plan_patches
from ..per_graph import kept_per_graph
from ..task_graph import Task, TaskGraph
from ..work import MacWork
from .bundles import Bundle, bundles
from .plan import Assignment, Pattern, Phase, ScheduleError, Unit

LEADING = (CONSTANT, TRANSPOSE, MOVE)
"""Kinds of units that no other feeds."""

MOST_FOLLOWERS = 2
"""Tasks other than mac tasks that may follow each mac task within a phase."""

MOST_SETS = 5_000
"""Connected sets that are tried as phases. Most models have hundreds; unrolled recurrent layers, millions."""


@dataclass(frozen=True)
class Engines:
    """The engines of a datapath: output channels per pass of each."""

    outputs: tuple[int, ...]
    lanes: int

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """All units that phases may use, in datapath order; constants and moves come first, as no unit feeds them."""
        leading = (
            Unit(f"{kind.name}{index}", kind.name) for kind in LEADING for index in range(self.leading_units)
        )
        behind = (
            Unit(
                f"{kind.name}{index}",
                kind.name,
                outputs if kind is ENGINE else 0,
                products=int(kind is DEPTHWISE),
            )
            for index, outputs in enumerate(self.outputs)
            for kind in KINDS
            if kind not in LEADING
        )
        return (*leading, *behind)

    @property
    def leading_units(self) -> int:
        """Units of each kind that leads: two operands for each engine."""
        return 2 * len(self.outputs)


def candidate_phases(graph: TaskGraph, engines: Engines) -> Iterator[Phase]:
    """Phases of up to as many mac tasks as there are engines."""
    for tasks in connected_sets(graph, len(engines.outputs)):
        yield from _allocations(graph, engines, tasks)


@kept_per_graph
def connected_sets(graph: TaskGraph, most_macs: int) -> list[tuple[str, ...]]:
    """Convex, connected sets of bundles with at most `most_macs` mac tasks, in topological order, each once.

    Convex: no path leaves the set and comes back, so the set can run as one phase. Names of tasks, leaders included.
    """
    order = {task.name: index for index, task in enumerate(graph.tasks)}
    is_mac = {task.name: is_engine_task(graph, task) for task in graph.tasks}
    digraph = graph.digraph
    bundle_of = {
        task.name: frozenset(task.name for task in bundle.tasks)
        for bundle in bundles(graph)
        for task in bundle.tasks
    }
    leaders = {task.name for bundle in bundles(graph) for task in bundle.leaders}
    found: set[frozenset[str]] = set()
    frontier = list(dict.fromkeys(bundle_of.values()))
    while frontier and len(found) + len(frontier) <= MOST_SETS:
        found.update(frontier)
        grown: set[frozenset[str]] = set()
        for names in frontier:
            around = {n for name in names for n in (*digraph.successors(name), *digraph.predecessors(name))}
            for neighbour in around - names:
                larger = names | bundle_of[neighbour]
                macs = sum(is_mac[name] for name in larger)
                if macs <= most_macs and len(larger - leaders) <= max(macs, 1) * (1 + MOST_FOLLOWERS):
                    grown.add(larger)
        frontier = [names for names in grown if names not in found]
    ordered = [
        tuple(sorted(names, key=order.__getitem__)) for names in found if _convex(digraph, names, order)
    ]
    return sorted(ordered, key=lambda names: [order[name] for name in names])


def _convex(digraph: nx.DiGraph[str], names: frozenset[str], order: dict[str, int]) -> bool:
    """True if no path between two members passes outside; such a path stays between the first and last in order."""
    last = max(order[name] for name in names)
    outside = [n for name in names for n in digraph.successors(name) if n not in names]
    seen = set(outside)
    while outside:
        for successor in digraph.successors(outside.pop()):
            if successor in names:
                return False
            if successor not in seen and order[successor] <= last:
                seen.add(successor)
                outside.append(successor)
    return True


def _allocations(graph: TaskGraph, engines: Engines, names: Sequence[str]) -> Iterator[Phase]:
    """Every way to give contiguous groups of engines to the mac tasks of a set."""
    tasks = [graph.task(name) for name in names]
    macs = [task for task in tasks if is_engine_task(graph, task)]
    count = len(engines.outputs)
    for cuts in combinations(range(1, count), max(len(macs) - 1, 0)):
        bounds = [0, *cuts, count]
        groups = {task.name: range(*bounds[i : i + 2]) for i, task in enumerate(macs)}
        assignments = assign(graph, engines, tasks, groups)
        if assignments is not None:
            pattern = Pattern.SEQUENTIAL if len(macs) <= 1 else Pattern.DATAFLOW
            yield Phase(pattern, assignments)


def assign(
    graph: TaskGraph, engines: Engines, tasks: Sequence[Task], groups: dict[str, range]
) -> tuple[Assignment, ...] | None:
    """Assignments of a phase, or None if a unit would have two tasks.

    Args:
        graph: the tasks.
        engines: the datapath.
        tasks: of the phase, in topological order.
        groups: engines of each mac task.
    """
    result: list[Assignment] = []
    behind: dict[
        str, tuple[int, int]
    ] = {}  # task -> the pattern that its unit is in, and the place in the pattern
    leading = Counter[str]()
    taken: set[tuple[int, int]] = set()
    for task in tasks:
        if kind_of(graph, task) in LEADING:
            leader = kind_of(graph, task).name
            result.append(Assignment(task.name, f"{leader}{leading[leader]}"))
            leading[leader] += 1
            continue
        before = [
            behind[p.name] for name in task.inputs if (p := graph.producers.get(name)) and p.name in behind
        ]
        if task.name in groups:
            group = groups[task.name]
            behind[task.name] = group[-1], KINDS.index(ENGINE)
            result += _shares(graph, engines, task, group, (0, word_count(graph, task, engines.lanes)))
        else:
            kind = kind_of(graph, task)
            index, last = max(before, default=(0, -1))
            place = KINDS.index(kind)
            if place <= last:
                index += 1  # links lead forward
            while (index, place) in taken:
                index += 1
            if index >= len(engines.outputs):
                return None
            behind[task.name] = index, place
            taken.add((index, place))
            result.append(Assignment(task.name, f"{kind.name}{index}"))
    return tuple(result) if max(leading.values(), default=0) <= engines.leading_units else None


def word_count(graph: TaskGraph, task: Task, lanes: int) -> int:
    """Words of a pixel of a task's result."""
    return words_of(graph, task.output, lanes) // graph.output_tensor(task).pixels


def phases_in_turn(graph: TaskGraph, engines: Engines, bundle: Bundle, entries: int) -> tuple[Phase, ...]:
    """A task of too many weights for one phase: shares of its output channels, one phase after the other, on all engines.

    Shares are as even as whole passes allow, and each has a phase of its own; so has each of the task's leaders, before.

    Args:
        graph: the tasks.
        engines: the datapath.
        bundle: the task, which an engine runs, and its leaders.
        entries: of weights, for each engine in a phase.

    Raises:
        ScheduleError: one pass of the task needs more.
    """
    task = bundle.task
    passes = passes_within(graph, task, engines.lanes, entries)
    words = word_count(graph, task, engines.lanes)
    everywhere = range(len(engines.outputs))
    room = sum(passes * outputs // engines.lanes for outputs in engines.outputs)
    if not room:
        raise ScheduleError(f"a word of task {task.name!r} needs more than {entries} weight entries")
    step = -(-words // -(-words // room))
    pass_words = max(sum(outputs // engines.lanes for outputs in engines.outputs), 1)
    step = min(-(-step // pass_words) * pass_words, room)
    leaders = [(Assignment(leader.name, f"{kind_of(graph, leader).name}0"),) for leader in bundle.leaders]
    shares = [
        tuple(_shares(graph, engines, task, everywhere, (first, min(first + step, words))))
        for first in range(0, words, step)
    ]
    return tuple(Phase(Pattern.SEQUENTIAL, assignments) for assignments in (*leaders, *shares))


def passes_within(graph: TaskGraph, task: Task, lanes: int, entries: int) -> int:
    """Passes of an engine over a task's patches whose weights fit so many entries.

    Raises:
        ScheduleError: there is no such pass.
    """
    work = task.operator.work(task, graph)
    assert isinstance(work, MacWork)
    patch_words = plan_patches(work, lanes, pack=False).words
    if entries < patch_words:
        raise ScheduleError(
            f"one pass of task {task.name!r} needs {patch_words} weight entries, not {entries}"
        )
    return entries // patch_words


def _shares(
    graph: TaskGraph, engines: Engines, task: Task, group: range, made: tuple[int, int]
) -> list[Assignment]:
    """The split of a range of a task's output words over engines that needs the fewest passes."""
    first, end = made
    words = end - first
    per_pass = sum(engines.outputs[index] for index in group)
    passes = -(-words * engines.lanes // per_pass)  # fewer are not enough even if parts of words counted
    while True:
        room = [passes * engines.outputs[index] // engines.lanes for index in group]
        if len(group) == 1 or sum(room) >= words:
            break
        passes += 1
    result: list[Assignment] = []
    for index, most in zip(group, room, strict=True):
        share = end - first if len(group) == 1 else min(most, end - first)
        if share:
            whole = share == word_count(graph, task, engines.lanes)
            result.append(Assignment(task.name, f"engine{index}", None if whole else (first, first + share)))
            first += share
    return result

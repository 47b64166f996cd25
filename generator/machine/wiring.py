"""Which process feeds which, over all phases: the union of the links that the schedule uses, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..per_graph import kept_per_graph
from ..schedule.plan import Assignment, Phase, Schedule, ScheduleError
from ..task_graph import Task, TaskGraph
from ..work import ConstantWork, MoveWork, RepeatWork
from .hardware import words_of
from .units.transpose_plan import view_nest

COLLECT = "collect"


@dataclass(frozen=True)
class Edge:
    """A path from a feed or a unit to an input port of a unit, or to collect."""

    source: str
    target: str
    port: int = 0


@dataclass(frozen=True)
class Traffic:
    """What flows along an edge in a phase: `rounds` times a run of `run` words.

    One round of all words, but for units that share a task: there a round is a pixel, and runs of several edges alternate.
    """

    run: int
    rounds: int = 1

    @property
    def words(self) -> int:
        """All words."""
        return self.run * self.rounds


@dataclass(frozen=True)
class Read:
    """A tensor that a feed reads from memory: in order, or as the task `view` wants it moved."""

    tensor: str
    view: str = ""


NOTHING_READ = Read("")


@dataclass(frozen=True)
class Wiring:
    """Edges in datapath order; `traffic[phase][edge]` is what flows, absent where nothing does.

    `feeds` names the fetch processes. `reads[phase]` is what each of them reads from memory, or NOTHING_READ;
    `stored[phase]` the tensor that the phase writes to memory.
    """

    feeds: tuple[str, ...]
    edges: tuple[Edge, ...]
    traffic: tuple[dict[Edge, Traffic], ...]
    reads: tuple[tuple[Read, ...], ...]
    stored: tuple[str, ...]

    @cached_property
    def fed(self) -> tuple[tuple[str, ...], ...]:
        """By phase: the tensor that each feed reads from memory, or an empty name."""
        return tuple(tuple(read.tensor for read in phase) for phase in self.reads)

    def into(self, target: str, port: int = 0) -> tuple[Edge, ...]:
        """Edges that lead to an input port in some phase."""
        return tuple(edge for edge in self.edges if (edge.target, edge.port) == (target, port))

    def out_of(self, source: str) -> tuple[Edge, ...]:
        """Edges that leave a feed or unit in some phase."""
        return tuple(edge for edge in self.edges if edge.source == source)


def wire(graph: TaskGraph, schedule: Schedule) -> Wiring:
    """Edges of a schedule.

    Raises:
        ScheduleError: a phase makes more than one tensor for memory, reads two inputs of the model, or has a link that
            leads backwards.
    """
    order = {unit.name: index for index, unit in enumerate(schedule.units)}
    traffic: list[dict[Edge, Traffic]] = []
    reads: list[tuple[Read, ...]] = []
    stored: list[str] = []
    for index, phase in enumerate(schedule.phases):
        where = f"phase {index} ({', '.join(phase.tasks)})"
        read = reads_of(graph, phase.tasks)
        if problem := read_problem(graph, read):
            raise ScheduleError(f"{where} {problem}")
        written = _written_to_memory(graph, phase)
        if len(written) != 1:
            raise ScheduleError(
                f"{where} has {len(written)} results for memory ({', '.join(written)}); one is supported"
            )
        flow = dict(_links(graph, phase, read, schedule.lanes))
        for edge in flow:
            if edge.source in order and order[edge.source] >= order[edge.target]:
                raise ScheduleError(
                    f"{where}: the link from {edge.source!r} to {edge.target!r} leads backwards"
                )
        for share in phase.shares(graph.producers[written[0]].name):
            flow[Edge(share.unit, COLLECT)] = share_traffic(graph, share, schedule.lanes)
        traffic.append(flow)
        reads.append(read)
        stored.extend(written)
    feeds = tuple(_feed(index) for index in range(max(map(len, reads))))
    order |= {feed: index - len(feeds) for index, feed in enumerate(feeds)} | {COLLECT: len(order)}
    edges = sorted(
        {edge for flow in traffic for edge in flow},
        key=lambda edge: (order[edge.source], order[edge.target], edge.port),
    )
    padded = tuple(read + (NOTHING_READ,) * (len(feeds) - len(read)) for read in reads)
    return Wiring(feeds, tuple(edges), tuple(traffic), padded, tuple(stored))


def share_traffic(graph: TaskGraph, assignment: Assignment, lanes: int) -> Traffic:
    """What a unit makes of a task's result."""
    output = graph.task(assignment.task).output
    if assignment.words is None:
        return Traffic(words_of(graph, output, lanes))
    first, end = assignment.words
    return Traffic(end - first, graph.tensors[output].pixels)


def _links(
    graph: TaskGraph, phase: Phase, read: tuple[Read, ...], lanes: int
) -> Iterator[tuple[Edge, Traffic]]:
    """Edges into the units of a phase."""
    for assignment in phase.assignments:
        task = graph.task(assignment.task)
        for port, operand in enumerate(task.inputs):
            producer = graph.producers.get(operand)
            if producer is not None and producer.name in phase.tasks:
                if is_move(graph, task):
                    raise ScheduleError(f"task {task.name!r} moves values that its own phase makes")
                for share in phase.shares(producer.name):
                    yield Edge(share.unit, assignment.unit, port), share_traffic(graph, share, lanes)
            else:
                feed = _feed(read.index(_read(graph, task, operand)))
                work = task.operator.work(task, graph)
                words = (
                    view_nest(work, lanes).sourced
                    if isinstance(work, MoveWork)
                    else words_of(graph, operand, lanes)
                )
                yield Edge(feed, assignment.unit, port), Traffic(words)


def leads(graph: TaskGraph, task: Task) -> bool:
    """True if a task can begin a phase for any other, whose operand it makes on a unit in front of all others."""
    return isinstance(task.operator.work(task, graph), MoveWork | RepeatWork | ConstantWork)


@kept_per_graph
def is_move(graph: TaskGraph, task: Task) -> bool:
    """True if a task reads its input in an order of its own, for which it has to be in memory."""
    return isinstance(task.operator.work(task, graph), MoveWork)


def reads_of(graph: TaskGraph, tasks: Sequence[str]) -> tuple[Read, ...]:
    """What tasks of one phase read but do not make, each once; an input of the model first, for the DRAM port."""
    made = {graph.task(task).output for task in tasks}
    reads = dict.fromkeys(
        _read(graph, task, name)
        for task in map(graph.task, tasks)
        for name in task.inputs
        if name not in made
    )
    return tuple(sorted(reads, key=lambda read: read.tensor not in graph.inputs))


def read_problem(graph: TaskGraph, reads: Sequence[Read]) -> str:
    """Why one phase cannot read all these, or an empty text: every memory has one reading process."""
    tensors = [read.tensor for read in reads]
    if sum(name in graph.inputs for name in tensors) > 1:
        return "reads two inputs of the model at once"
    if twice := [name for name in tensors if tensors.count(name) > 1]:
        return f"reads {twice[0]!r} in two orders at once"
    return ""


def _read(graph: TaskGraph, task: Task, tensor: str) -> Read:
    return Read(tensor, task.name if is_move(graph, task) else "")


def _written_to_memory(graph: TaskGraph, phase: Phase) -> tuple[str, ...]:
    """Results that a later phase or the user reads."""
    outputs = [graph.task(task).output for task in phase.tasks]
    return tuple(
        name
        for name in outputs
        if name in graph.outputs or any(reader.name not in phase.tasks for reader in graph.consumers[name])
    )


def share_range(graph: TaskGraph, phase: Phase, tensor: str, lanes: int) -> tuple[int, int]:
    """The words of every pixel of a tensor that a phase makes."""
    shares = phase.shares(graph.producers[tensor].name)
    if shares[0].words is None or shares[-1].words is None:
        return 0, words_of(graph, tensor, lanes) // graph.tensors[tensor].pixels
    return shares[0].words[0], shares[-1].words[1]


def _feed(index: int) -> str:
    return f"feed{index}"

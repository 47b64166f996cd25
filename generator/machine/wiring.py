"""Which process feeds which, over all phases: the union of the links that the schedule uses, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from ..schedule.plan import Schedule, ScheduleError
from ..task_graph import TaskGraph
from .hardware import words_of

COLLECT = "collect"


@dataclass(frozen=True)
class Edge:
    """A path from a feed or a unit to an input port of a unit, or to collect."""

    source: str
    target: str
    port: int = 0


@dataclass(frozen=True)
class Wiring:
    """Edges in datapath order; `words[phase][edge]` is what flows, absent where nothing does.

    `feeds` names the fetch processes. `fed[phase]` names the tensor that each of them reads from memory, or is empty;
    `stored[phase]` the tensor that the phase writes to memory.
    """

    feeds: tuple[str, ...]
    edges: tuple[Edge, ...]
    words: tuple[dict[Edge, int], ...]
    fed: tuple[tuple[str, ...], ...]
    stored: tuple[str, ...]

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
    flows: list[dict[Edge, int]] = []
    fed: list[tuple[str, ...]] = []
    stored: list[str] = []
    for index, phase in enumerate(schedule.phases):
        unit_of = {assignment.task: assignment.unit for assignment in phase.assignments}
        read = _read_from_memory(graph, tuple(unit_of))
        if sum(name in graph.inputs for name in read) > 1:
            raise ScheduleError(
                f"phase {index} ({', '.join(phase.tasks)}) reads two inputs of the model at once"
            )
        flow: dict[Edge, int] = {}
        written: list[str] = []
        for name, unit in unit_of.items():
            task = graph.task(name)
            for port, operand in enumerate(task.inputs):
                producer = graph.producers.get(operand)
                linked = producer is not None and producer.name in unit_of
                source = unit_of[producer.name] if producer and linked else _feed(read.index(operand))
                if linked and order[source] >= order[unit]:
                    raise ScheduleError(
                        f"phase {index}: the link from {source!r} to {unit!r} leads backwards"
                    )
                flow[Edge(source, unit, port)] = words_of(graph, operand, schedule.lanes)
            readers = graph.consumers[task.output]
            if task.output in graph.outputs or any(reader.name not in unit_of for reader in readers):
                written.append(task.output)
                flow[Edge(unit, COLLECT)] = words_of(graph, task.output, schedule.lanes)
        if len(written) != 1:
            raise ScheduleError(
                f"phase {index} ({', '.join(phase.tasks)}) has {len(written)} results for memory "
                f"({', '.join(written)}); one is supported"
            )
        flows.append(flow)
        fed.append(read)
        stored.extend(written)
    feeds = tuple(_feed(index) for index in range(max(map(len, fed))))
    order |= {feed: index - len(feeds) for index, feed in enumerate(feeds)} | {COLLECT: len(order)}
    edges = sorted(
        {edge for flow in flows for edge in flow},
        key=lambda edge: (order[edge.source], order[edge.target], edge.port),
    )
    return Wiring(
        feeds, tuple(edges), tuple(flows), tuple(_padded(names, len(feeds)) for names in fed), tuple(stored)
    )


def _read_from_memory(graph: TaskGraph, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Tensors that a phase reads but does not make, each once; an input of the model first, for the DRAM port."""
    made = {graph.task(task).output for task in tasks}
    read = dict.fromkeys(name for task in tasks for name in graph.task(task).inputs if name not in made)
    return tuple(sorted(read, key=lambda name: name not in graph.inputs))


def _feed(index: int) -> str:
    return f"feed{index}"


def _padded(names: tuple[str, ...], length: int) -> tuple[str, ...]:
    return names + ("",) * (length - len(names))

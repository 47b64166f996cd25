"""Which process feeds which, over all phases: the union of the links that the schedule uses, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from ..schedule.plan import Schedule, ScheduleError
from ..task_graph import TaskGraph
from .units import output_words

FETCH = "fetch"
COLLECT = "collect"


@dataclass(frozen=True)
class Edge:
    """A path from one node (a unit, or fetch) to another (a unit, or collect)."""

    source: str
    target: str


@dataclass(frozen=True)
class Wiring:
    """Edges in datapath order; `words[phase][edge]` is what flows, absent where nothing does.

    `fed[phase]` and `stored[phase]` name the tensor that the phase reads from and writes to memory.
    """

    edges: tuple[Edge, ...]
    words: tuple[dict[Edge, int], ...]
    fed: tuple[str, ...]
    stored: tuple[str, ...]

    def sources(self, target: str) -> tuple[str, ...]:
        """Nodes that feed `target` in some phase."""
        return tuple(edge.source for edge in self.edges if edge.target == target)

    def targets(self, source: str) -> tuple[str, ...]:
        """Nodes that `source` feeds in some phase."""
        return tuple(edge.target for edge in self.edges if edge.source == source)


def wire(graph: TaskGraph, schedule: Schedule) -> Wiring:
    """Edges of a schedule.

    Raises:
        ScheduleError: a phase needs more than one tensor from memory or makes more than one for it.
    """
    words: list[dict[Edge, int]] = []
    fed: list[str] = []
    stored: list[str] = []
    for index, phase in enumerate(schedule.phases):
        flow: dict[Edge, int] = {}
        unit_of = {assignment.task: assignment.unit for assignment in phase.assignments}
        from_memory: set[str] = set()
        to_memory: set[str] = set()
        for assignment in phase.assignments:
            task = graph.task(assignment.task)
            for name in task.inputs:
                producer = graph.producers.get(name)
                tensor_words = words_of(graph, name, schedule.lanes)
                if producer is not None and producer.name in unit_of:
                    flow[Edge(unit_of[producer.name], assignment.unit)] = tensor_words
                else:
                    from_memory.add(name)
                    flow[Edge(FETCH, assignment.unit)] = tensor_words
            leaves = any(reader.name not in unit_of for reader in graph.consumers[task.output])
            if leaves or task.output in graph.outputs:
                to_memory.add(task.output)
                flow[Edge(assignment.unit, COLLECT)] = output_words(graph, task, schedule.lanes)
        if len(from_memory) != 1 or len(to_memory) != 1:
            raise ScheduleError(
                f"phase {index} ({', '.join(phase.tasks)}) reads {sorted(from_memory)} and writes "
                f"{sorted(to_memory)}: one tensor each is supported"
            )
        words.append(flow)
        fed.extend(from_memory)
        stored.extend(to_memory)
    order = {FETCH: -1, COLLECT: len(schedule.units)} | {unit.name: i for i, unit in enumerate(schedule.units)}
    edges = sorted({edge for flow in words for edge in flow}, key=lambda edge: (order[edge.source], order[edge.target]))
    return Wiring(tuple(edges), tuple(words), tuple(fed), tuple(stored))


def words_of(graph: TaskGraph, tensor: str, lanes: int) -> int:
    """Words of a tensor in the layout of streams and memories."""
    info = graph.tensors[tensor]
    return info.pixels * -(-info.channels // lanes)

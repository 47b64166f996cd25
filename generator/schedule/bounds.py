"""Lower bounds: what no schedule on the same hardware can beat."""

from __future__ import annotations

from math import ceil

from ..board import Board
from ..machine.hardware import words_of
from ..machine.units.circulant_form import block_of
from ..machine.units.kinds import unit_multipliers
from ..machine.units.window import plan_patches
from ..task_graph import TaskGraph
from ..work import MacWork
from .plan import Schedule


def multipliers(schedule: Schedule) -> int:
    """Multipliers of the datapath for products with weights."""
    return sum(unit_multipliers(unit, schedule.lanes) for unit in schedule.units)


def off_chip_bytes(graph: TaskGraph, schedule: Schedule) -> int:
    """Bytes that cross the DRAM ports per sample: inputs, outputs, tensors that wait in DRAM, and streamed weights.

    Those come once for all samples of a launch.
    """
    element_bytes = 1 if max(tensor.number.bits for tensor in graph.tensors.values()) <= 8 else 2
    words = sum(words_of(graph, name, schedule.lanes) for name in (*graph.inputs, *graph.outputs))
    for name in schedule.spilled:
        reading = {phase for task in graph.consumers[name] for phase in schedule.phases_of(task.name)}
        words += words_of(graph, name, schedule.lanes) * (
            1 + len(reading - {schedule.phases_of(graph.producers[name].name)[0]})
        )
    weights = 0
    if schedule.streamed:
        parameters = (
            (task.parameters[r], block_of(graph, task))
            for task in graph.tasks
            for r in task.operator.weight_roles
        )
        weights = sum(p.values.size // block * (1 if p.number.bits <= 8 else 2) for p, block in parameters)
    return words * schedule.lanes * element_bytes + ceil(weights / schedule.batch)


def lower_bound_cycles(graph: TaskGraph, schedule: Schedule, board: Board, clock_mhz: float) -> int:
    """The largest of MACs per multiplier, words per row of multipliers, and bytes per cycle of DRAM bandwidth."""
    return max(lower_bounds(graph, schedule, board, clock_mhz).values())


def lower_bounds(graph: TaskGraph, schedule: Schedule, board: Board, clock_mhz: float) -> dict[str, int]:
    """Cycles that no schedule on the same engines can beat, by what they follow from."""
    macs = sum(task.operator.macs(task, graph) for task in graph.tasks)
    compute = ceil(macs / multipliers(schedule)) if macs else 0
    off_chip = ceil(off_chip_bytes(graph, schedule) / board.bytes_per_cycle(clock_mhz))
    return {
        "every lane busy": compute,
        "words that patches fill": _engine_cycles(graph, schedule),
        "DRAM bandwidth": off_chip,
    }


def _engine_cycles(graph: TaskGraph, schedule: Schedule) -> int:
    """What the engines take if no row of multipliers ever waits: each takes a word of a patch per cycle.

    A patch of fewer elements than its words have leaves multipliers idle in any schedule on words of so many lanes.
    """
    rows = sum(unit.outputs for unit in schedule.units)
    works = [task.operator.work(task, graph) for task in graph.tasks]
    words = sum(
        work.pixels * work.outputs * plan_patches(work, schedule.lanes).words
        for work in works
        if isinstance(work, MacWork)
    )
    return ceil(words / rows) if words else 0

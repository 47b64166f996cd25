"""Which hardware every layer with circulant weights got, and why, in words for the report."""

from __future__ import annotations

from .machine.circulant_form import block_of
from .machine.mac_unit import MacHardware
from .machine.unit_kinds import build_hardware
from .schedule.plan import Schedule
from .task_graph import TaskGraph


def form_notes(graph: TaskGraph, schedule: Schedule) -> tuple[str, ...]:
    """One note for each unit that runs layers with circulant weights."""
    notes = []
    for unit in build_hardware(graph, schedule).values():
        if not isinstance(unit, MacHardware):
            continue
        blocks = {run.task.name: block_of(graph, run.task) for run in unit.runs}
        circulant = [f"{name} (K={block})" for name, block in blocks.items() if block > 1]
        if not circulant:
            continue
        dense = unit.unit.outputs * schedule.lanes
        if unit.form is not None:
            why = f"{unit.form.name}, {unit.multipliers} multipliers in place of {dense}"
        elif len(set(blocks.values())) > 1:
            why = "dense: the unit also runs layers without, or with other blocks"
        else:
            size = max(blocks.values())
            why = f"dense: words of {schedule.lanes} and passes of {unit.unit.outputs} channels do not suit blocks of {size}"
        notes.append(f"circulant weights of {', '.join(circulant)} run on {unit.name} as {why}")
    return tuple(notes)

"""Which hardware every layer with circulant weights got, and why, in words for the report."""

from __future__ import annotations

from .machine.circulant_form import block_of
from .machine.circulant_forms import FFT, CirculantForm
from .machine.mac_unit import MacHardware, dense_dsps
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
        if unit.form is not None:
            why = _chosen(unit, schedule.lanes)
        elif len(set(blocks.values())) > 1:
            why = "dense: the unit also runs layers without, or with other blocks"
        else:
            size = max(blocks.values())
            why = f"dense: words of {schedule.lanes} and passes of {unit.unit.outputs} channels do not suit blocks of {size}"
        notes.append(f"circulant weights of {', '.join(circulant)} run on {unit.name} as {why}")
    return tuple(notes)


def _chosen(unit: MacHardware, lanes: int) -> str:
    """The form of a unit, its figures, and those of the forms that it was preferred to."""
    form, outputs = unit.form, unit.unit.outputs
    assert form is not None
    weights = unit.memories[0]
    stored = f"weights in {weights.copies} memories of {weights.entries} x {weights.bits} bits, {form.block} times fewer than dense"
    text = f"{form.name}: {unit.multipliers} multipliers, {_figures(form, outputs, lanes)}; {stored}"
    if form.name == FFT:
        return f"{text}; as told, since it rounds"
    others = [other for other in unit.other_forms() if other.name != form.name]
    dearer = [f"{other.name} would take {_figures(other, outputs, lanes)}" for other in others]
    elements = form.input_bits
    dearer.append(f"dense {dense_dsps(outputs, lanes, elements, form.weight_bits)} DSPs")
    return f"{text}; {', '.join(dearer)}, in as many cycles"


def _figures(form: CirculantForm, outputs: int, lanes: int) -> str:
    return f"{form.dsps(outputs, lanes)} DSPs and {form.luts(outputs, lanes):,} LUTs"

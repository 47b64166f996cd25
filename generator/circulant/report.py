"""Which hardware every layer with circulant weights got, and why, in words for the report."""

from __future__ import annotations

from ..board import Board
from ..machine.units.circulant_form import block_of
from ..machine.units.circulant_forms import FFT, CirculantForm
from ..machine.units.engine import EngineHardware
from ..machine.units.kinds import build_hardware
from ..machine.units.mac_process import dense_dsps
from ..schedule.plan import Schedule
from ..task_graph import TaskGraph


def form_notes(graph: TaskGraph, schedule: Schedule, board: Board) -> tuple[str, ...]:
    """One note for each unit that runs layers with circulant weights."""
    notes = []
    for unit in build_hardware(graph, schedule).values():
        if not isinstance(unit, EngineHardware):
            continue
        blocks = {run.task.name: block_of(graph, run.task) for run in unit.runs}
        circulant = [f"{name} (K={block})" for name, block in blocks.items() if block > 1]
        if not circulant:
            continue
        if unit.form is None:
            why = f"dense: {unit.obstacle or 'as told'}"
        else:
            why = _chosen(unit, unit.form, schedule.lanes, board)
        notes.append(f"circulant weights of {', '.join(circulant)} run on {unit.name} as {why}")
    return tuple(notes)


def _chosen(unit: EngineHardware, form: CirculantForm, lanes: int, board: Board) -> str:
    """The form of a unit, its figures, and those of the forms that it was preferred to."""
    outputs = unit.unit.outputs
    weights = unit.memories[0]
    text = (
        f"{form.label}: {unit.multipliers} multipliers, {_figures(form, outputs, lanes)}; weights in {weights.copies} "
        f"memories of {weights.entries} x {weights.bits} bits"
    )
    if form.name == FFT:
        return f"{text}; it rounds, and was told to be, or allowed and better"
    worth = board.resources.lut / max(board.resources.dsp, 1)
    others = [
        f"{other.label} would take {_figures(other, outputs, lanes)}"
        for other in unit.forms()
        if other.label != form.label
    ]
    dense = dense_dsps(outputs, lanes, form.input_bits, form.weight_bits)
    others.append(f"dense {dense} DSPs and {form.block} times as many weights")
    return (
        f"{text}, {form.block} times fewer than dense; the cheapest on {board.name} (a DSP is worth {worth:.0f} LUTs there) "
        f"of those that fit: {', '.join(others)}"
    )


def _figures(form: CirculantForm, outputs: int, lanes: int) -> str:
    return f"{form.dsps(outputs, lanes)} DSPs and {form.luts(outputs, lanes):,} LUTs"

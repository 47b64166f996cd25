"""The whole path of a model, in one function. Start reading here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.boards.driver.host_part import HostPart

from . import passes
from .board import WHOLE, Board, at_clock, load_board, part_of
from .circulant.report import form_notes
from .circulant.spectral import decide_with_spectra
from .compress.before import before_compression
from .compress.metadata import notes as circulant_notes
from .cost import ASSUMED, using
from .cost_file import MeasuredCosts, read_costs
from .design import HOST_BEFORE, Design
from .frontend import import_model
from .host import samples as host_samples
from .host.split import parse_host_ops
from .machine.identifiers import identifier
from .machine.lower import lower
from .progress import Progress, silent
from .qdq.model import export_qdq
from .qdq.moved_tensors import add_moved_tensors
from .quantise import Precision, QuantiseOptions, calibrate, quantise, read_precision
from .samples import DEFAULT_PREPROCESS, Preprocess, synthetic_samples
from .schedule.search import batches_of
from .schedule.word_widths import LANES
from .simulation.timed_choice import count_best

if TYPE_CHECKING:
    import onnx

KEPT_SAMPLES = 16
"""Calibration samples that stay with the design, for its verification."""


def compile_model(
    model: str | Path | onnx.ModelProto,
    *,
    board: str | Path | Board = "kv260",
    calibration: str | Path | None = None,
    schedule: str = "auto",
    objective: str = "latency",
    batch: int | None = None,
    weight_bits: int = 8,
    activation_bits: int = 8,
    per_channel: bool = True,
    precision: str | Path | None = None,
    clock_mhz: float | None = None,
    lanes: Sequence[int] = LANES,
    budget: float = WHOLE,
    host_ops: str = "auto",
    preprocess: Preprocess = DEFAULT_PREPROCESS,
    circulant_fft: str = "never",
    dense: str | Path | onnx.ModelProto | None = None,
    fifo_sizing: bool = True,
    measured_costs: str | Path | None = None,
    progress: Progress = silent,
) -> Design:
    """Compiles a trained ONNX model into a design for a board.

    Args:
        model: path of a float ONNX model, or the model itself.
        board: a board's name, the path of a TOML file, or the board itself.
        calibration: .npz or .npy file of sample inputs; without it, synthetic samples serve, and the notes say so.
        schedule: "auto", "mixed", "dataflow" or "sequential".
        objective: "latency", for launches of one sample, or "throughput", for launches of several, which follow each other
            through every phase.
        batch: samples that a launch takes at most, for throughput; if None, what is best.
        weight_bits: bits of weights, 2 to 16.
        activation_bits: bits of activations, 2 to 16.
        per_channel: gives each output channel a weight exponent of its own; else one serves the whole tensor.
        precision: .toml file of the bits of single layers and tensors that differ (quantise/precision.py).
        clock_mhz: clock of the kernel; the board's default if None.
        lanes: elements per word to try.
        budget: percent of the board's logic that the design may use.
        host_ops: nodes at the start and the end of the model that run on the host: "auto" for what only it can do and
            what costs it nothing, "none", or names of nodes or operators with commas between.
        preprocess: how sample files become model inputs.
        circulant_fft: computes layers with circulant weights by spectra, which rounds (circulant/spectral.py): "never", "allow"
            where the cost model finds it faster or cheaper, or "always" where a layer can be.
        dense: the model before `intarsia compress`, which `verify` then compares with the compressed one.
        fifo_sizing: sizes FIFOs by the timed C-simulation, which needs a C++ compiler.
        measured_costs: file of depths, intervals and resource factors from vendor reports (`intarsia
            import-reports`); the schedule takes them instead of the assumed ones.
        progress: told what is done.

    Raises:
        IntarsiaError: anything that the user can mend.
    """
    batches = batches_of(objective, batch)
    target = board if isinstance(board, Board) else load_board(board)
    if clock_mhz is not None:
        target = at_clock(target, clock_mhz)
    measured = read_costs(Path(measured_costs)) if measured_costs else None
    room = part_of(target, budget)
    options = QuantiseOptions(
        weight_bits, activation_bits, per_channel, read_precision(precision) if precision else Precision()
    )
    imported = import_model(model, parse_host_ops(host_ops))
    preprocess = preprocess.with_integers(imported.integer_inputs)
    float_graph = passes.run(imported.graph)
    float_model = add_moved_tensors(imported.model, float_graph)
    inputs = tuple(float_graph.tensors[name] for name in float_graph.inputs)
    before = imported.host_before
    host = HostPart(before.SerializeToString(), HOST_BEFORE) if before else None
    if calibration is not None:
        samples, own = host_samples.load(calibration, inputs, host, preprocess, "calibration")
    elif before and host:
        samples, own = host_samples.synthetic(inputs, before, host)
    else:
        samples, own = synthetic_samples(inputs), {}
    statistics = calibrate(float_model, float_graph, samples.arrays, progress)
    graph = quantise(float_graph, statistics, options)
    name = Path(model).stem if isinstance(model, str | Path) else graph.name
    costs = measured.costs if measured else ASSUMED
    with using(costs):
        graph, decision, fft_notes = decide_with_spectra(graph, room, schedule, lanes, circulant_fft, batches)
        if fifo_sizing:
            counted = count_best(graph, decision.found, identifier(name), target)
            decision = replace(decision, chosen=counted.evaluation)
            machine, timings = counted.machine, counted.timings
        else:
            machine = lower(graph, decision.chosen.schedule, identifier(name))
            timings = None
    return Design(
        graph=graph,
        machine=replace(machine, cycles_in_memory=target.about_family.flow == "xrt"),
        decision=decision,
        board=target,
        clock_mhz=target.clock_mhz,
        float_model=float_model if imported.reference is imported.model else imported.reference,
        quantised_model=export_qdq(graph),
        samples={name: values[:KEPT_SAMPLES] for name, values in samples.arrays.items()},
        own_samples={name: values[:KEPT_SAMPLES] for name, values in own.items()},
        host_before=before,
        host_after=imported.host_after,
        preprocess=preprocess,
        notes=(
            *imported.notes,
            *circulant_notes(imported.model, float_graph),
            *form_notes(graph, decision.chosen.schedule, room),
            *fft_notes,
            *samples.notes,
            *decision.notes,
            *_cost_notes(measured, target),
        ),
        costs=costs,
        timings=timings,
        dense_model=None
        if dense is None
        else add_moved_tensors(before_compression(model, dense), float_graph),
    )


def _cost_notes(measured: MeasuredCosts | None, board: Board) -> tuple[str, ...]:
    """Where measured costs come from, and whether from this part at this clock."""
    if measured is None:
        return ()
    where = f"{measured.part or 'an unnamed part'} at {measured.clock_mhz:g} MHz"
    same = measured.part == board.part and abs(measured.clock_mhz - board.clock_mhz) <= 0.01 * board.clock_mhz
    other = "" if same else f", not for {board.part} at {board.clock_mhz:g} MHz: depths and logic may differ"
    return (
        f"depths, intervals and resources are those measured for {where}{other} ({measured.costs.source})",
    )

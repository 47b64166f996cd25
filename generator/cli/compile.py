"""`intarsia compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import IntarsiaError
from .choices import Fit, InputScale, Objective, Schedule, Spectra
from .output_paths import require_free


def compile_command(
    context: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the project to write.")],
    model: Annotated[Path | None, typer.Argument(help="A trained float model (.onnx).")] = None,
    board: Annotated[str, typer.Option(help="A name from `intarsia boards`, or a .toml file.")] = "kv260",
    calibration: Annotated[
        Path | None, typer.Option(help="Real sample inputs (.npz, .npy), for number ranges.")
    ] = None,
    schedule: Annotated[Schedule, typer.Option(help="Which schedules to search.")] = Schedule.AUTO,
    objective: Annotated[
        Objective,
        typer.Option(help="Fewest cycles for one sample, or for each of many that follow each other."),
    ] = Objective.LATENCY,
    batch: Annotated[
        int | None,
        typer.Option(help="Samples per launch, at most, for throughput; what is best if not given."),
    ] = None,
    weight_bits: Annotated[int, typer.Option(help="Bits of weights, 2 to 16.")] = 8,
    activation_bits: Annotated[int, typer.Option(help="Bits of activations, 2 to 16.")] = 8,
    per_channel: Annotated[
        bool,
        typer.Option("--per-channel/--per-tensor", help="A weight exponent for each output channel, or one."),
    ] = True,
    precision: Annotated[
        Path | None, typer.Option(help="A .toml file with the bits of single layers and tensors.")
    ] = None,
    clock_mhz: Annotated[float | None, typer.Option(help="Clock; the board's own if not given.")] = None,
    lanes: Annotated[
        list[int] | None,
        typer.Option(help="Elements per word: 4, 8, 16 or 32; repeatable. All if not given."),
    ] = None,
    budget: Annotated[
        float, typer.Option(help="Percent of the board's logic that the design may use.")
    ] = 100,
    host_ops: Annotated[
        str,
        typer.Option(
            help="First and last nodes that run on the host: auto (what only it can do, a Softmax at the end ..), none, or "
            "names of nodes or operators with commas between."
        ),
    ] = "auto",
    dense: Annotated[
        Path | None,
        typer.Option(help="The model before `intarsia compress`: `verify` then shows what compression cost."),
    ] = None,
    circulant_fft: Annotated[
        Spectra, typer.Option(help="Compute circulant layers by spectra, which rounds.")
    ] = Spectra.NEVER,
    input_scale: InputScale = None,
    fit: Annotated[
        Fit, typer.Option(help="Smaller images than the model's: zeros around them, or error.")
    ] = Fit.PAD,
    fifo_sizing: Annotated[
        bool,
        typer.Option(
            help="Count cycles and size FIFOs by the timed C-simulation, which needs a C++ compiler."
        ),
    ] = True,
    measured_costs: Annotated[
        Path | None,
        typer.Option(
            help="Depths, intervals and resources from reports: a file of `intarsia import-reports`."
        ),
    ] = None,
    point: Annotated[
        str | None,
        typer.Option(
            "--from", help="A point of `intarsia explore` in place of all other choices: DIR/points.json#N."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a project in the output directory.")
    ] = False,
) -> None:
    """Compile a model into a project: HLS C++, build scripts, driver, and all that verification needs."""
    from .. import compile
    from ..samples import Preprocess
    from ..schedule.word_widths import LANES
    from ..terminal import progress_bars

    if point is not None:
        from ..explore.chosen import compile_options

        _require_alone(context, "--from")
        options = compile_options(point)
    elif model is None:
        raise IntarsiaError("give a MODEL, or a point of `intarsia explore` with --from")
    else:
        options = {
            "model": model,
            "board": board,
            "calibration": calibration,
            "schedule": schedule.value,
            "objective": objective.value,
            "batch": batch,
            "weight_bits": weight_bits,
            "activation_bits": activation_bits,
            "per_channel": per_channel,
            "precision": precision,
            "clock_mhz": clock_mhz,
            "lanes": lanes or LANES,
            "budget": budget,
            "host_ops": host_ops,
            "circulant_fft": circulant_fft.value,
            "dense": dense,
            "preprocess": Preprocess(Preprocess.scale if input_scale is None else input_scale, fit.value),
        }
    require_free(output, force)
    with progress_bars() as progress:
        design = compile(**options, fifo_sizing=fifo_sizing, measured_costs=measured_costs, progress=progress)
        design.write(output, replace=force)
    typer.echo(design.summary())
    typer.echo(f"Written to {output}. Next: intarsia verify {output}")


def _require_alone(context: typer.Context, option: str) -> None:
    """Refuse options that say what `option` says already."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        if given and parameter.name not in ("point", "output", "force", "fifo_sizing", "measured_costs"):
            name = parameter.opts[0] if parameter.param_type_name == "option" else "MODEL"
            raise IntarsiaError(f"{name} contradicts {option}, which chooses it already: give one of them")

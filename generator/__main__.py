"""The command line. Exit codes: 0 done (verify: all worlds agree), 1 a divergence was found, 2 it could not run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from traceback import print_exc
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .errors import IntarsiaError
from .explore.command import explore as explore_command

if TYPE_CHECKING:
    from intarsia.verify import Report

DIVERGED, COULD_NOT_RUN, INTERRUPTED = 1, 2, 130
_DEBUG = "INTARSIA_DEBUG"
_WIDEST = 400
"""Columns of tables that a terminal may break but that are never cut."""


class ErrorsInOneLine(TyperGroup):
    """Shows every exception as one `error:` message, with exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from .terminal import print_error

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print_error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if _is_usage(error):
                raise
            if os.environ.get(_DEBUG):
                print_exc()
            if isinstance(error, IntarsiaError):
                print_error(str(error))
                raise typer.Exit(COULD_NOT_RUN) from None
            print_error(
                f"this is a bug in intarsia: {type(error).__name__}: {error}\n"
                f"`intarsia --debug ...` (or {_DEBUG}=1) shows where; please report it with the model"
            )
            raise typer.Exit(COULD_NOT_RUN) from None


def _is_usage(error: Exception) -> bool:
    """Typer's own exceptions (wrong options, --help, Exit) have an exit code."""
    return hasattr(error, "exit_code") or isinstance(error, typer.Abort)


app = typer.Typer(
    cls=ErrorsInOneLine, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


class Schedule(str, Enum):  # noqa: UP042  (typer shows the values of both alike)
    """Which schedules are searched."""

    AUTO = "auto"
    MIXED = "mixed"
    DATAFLOW = "dataflow"
    SEQUENTIAL = "sequential"


class Fit(str, Enum):  # noqa: UP042
    """What happens to images smaller than the model's."""

    PAD = "pad"
    ERROR = "error"


class Spectra(str, Enum):  # noqa: UP042
    """Whether layers with circulant weights may be computed by spectra."""

    NEVER = "never"
    ALLOW = "allow"
    ALWAYS = "always"


BoardWorld = Annotated[str, typer.Option("--board", help="emulated, none, or the address of a real board.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        typer.echo(f"intarsia {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From a trained ONNX model to an FPGA accelerator in Vitis HLS C++, verified layer by layer."""
    if debug:
        os.environ[_DEBUG] = "1"


@app.command("compile")
def compile_command(
    context: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the project to write.")],
    model: Annotated[Path | None, typer.Argument(help="A trained float model (.onnx).")] = None,
    board: Annotated[str, typer.Option(help="A name from `intarsia boards`, or a .toml file.")] = "kv260",
    calibration: Annotated[
        Path | None, typer.Option(help="Real sample inputs (.npz, .npy), for number ranges.")
    ] = None,
    schedule: Annotated[Schedule, typer.Option(help="Which schedules to search.")] = Schedule.AUTO,
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
    input_scale: Annotated[
        float | None, typer.Option(help="Factor for uint8 samples; 1/255 if not given.")
    ] = None,
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
    from . import compile
    from .samples import Preprocess
    from .schedule.search import LANES
    from .terminal import progress_bars

    if point is not None:
        from .explore.chosen import compile_options

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
    _require_free(output, force)
    with progress_bars() as progress:
        design = compile(**options, fifo_sizing=fifo_sizing, measured_costs=measured_costs, progress=progress)
        design.write(output, replace=force)
    typer.echo(design.summary())
    typer.echo(f"Written to {output}. Next: intarsia verify {output}")


app.command("explore")(explore_command)


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(help="A project that `intarsia compile` wrote.")],
    inputs: Annotated[
        Path | None, typer.Option(help="Samples (.npz, .npy); the project's own if not given.")
    ] = None,
    board: BoardWorld = "emulated",
    samples: Annotated[int | None, typer.Option(min=1, help="Use at most so many samples.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the result as JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the result as a web page.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="A recorded trace (.npz) in place of the board; driver: --taps.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="Write the trace of the board (none: of the C-simulation) to this .npz."),
    ] = None,
    runner: Annotated[
        list[Path] | None, typer.Option(help="A Python file with a world of your own; may be repeated.")
    ] = None,
    budget: Annotated[
        Path | None, typer.Option(help="What quantisation may cost, per layer too (.toml).")
    ] = None,
    accuracy: Annotated[
        str | None, typer.Option(help="FILE.py:FUNCTION, scores of (outputs, labels); else top-1 and top-5.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds that a board may take for a batch; else 600.")
    ] = None,
    shrink: Annotated[
        bool,
        typer.Option("--shrink", help="Reduce a failure to the smallest layers and sample that show it."),
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that share the samples; more than 1 with --board none.")
    ] = 1,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers share the samples.")
    ] = None,
) -> None:
    """Verify a project layer by layer: ONNX Runtime, golden, C-simulation and board. Exit code 1 if they differ."""
    from intarsia.verify.budget import load_budget
    from intarsia.verify.plugin import load_function

    options = {
        "trace": trace,
        "record": record,
        "runner_files": runner or (),
        "budget": load_budget(budget) if budget else None,
        "scorer": load_function(accuracy) if accuracy else None,
        "timeout_s": timeout,
        "smallest": shrink,
        "jobs": jobs,
        "address": cluster,
    }
    _exit_by(_verify(directory, inputs, board, samples, json_file, junit, html, options))


@app.command()
def compress(
    model: Annotated[Path, typer.Argument(help="A trained float model (.onnx).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The compressed model to write (.onnx).")],
    block: Annotated[str, typer.Option(help="Size of circulant blocks: 2, 4, 8, 16, 32, 64, or auto.")],
    layers: Annotated[
        str | None, typer.Option(help="Only these layers: names, or NAME=SIZE, with commas between.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Samples to fine-tune on (.npz, .npy).")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of --train, if they are in another file.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Samples to measure on; a tenth of --train if not given.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Samples to measure on, where nothing is trained.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the samples.")] = 40,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, at the start of its cosine.")] = 5e-3,
    batch_size: Annotated[int, typer.Option(help="Samples of a training step.")] = 64,
    gradual: Annotated[
        bool, typer.Option("--gradual", help="Train with blocks of 2 first, then 4, up to the size.")
    ] = False,
    shift: Annotated[int, typer.Option(help="Move training images at random by up to so many pixels.")] = 0,
    distil: Annotated[
        float,
        typer.Option(help="Share of the goal that is the dense model's outputs, beside labels; 0 to 1."),
    ] = 0.7,
    average: Annotated[
        float, typer.Option(help="Kept of the running mean of the weights in a step; 0: no mean.")
    ] = 0.995,
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    allow_untuned: Annotated[
        bool, typer.Option("--allow-untuned", help="Project without training, at a loss of accuracy.")
    ] = False,
    input_scale: Annotated[
        float | None, typer.Option(help="Factor for uint8 samples; 1/255 if not given.")
    ] = None,
    fit: Annotated[
        Fit, typer.Option(help="Smaller images than the model's: zeros around them, or error.")
    ] = Fit.PAD,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
) -> None:
    """Make weights block-circulant: fewer to store and to multiply, as a plain ONNX model for `compile`."""
    if output.exists() and not force:
        raise IntarsiaError(f"{output} exists already: choose another file, or replace it with --force")
    _require_writable(output)
    from .compress import Recipe, compress_model
    from .compress.rules import parse_layers
    from .samples import Preprocess
    from .terminal import progress_bars

    preprocess = Preprocess(fit=fit.value) if input_scale is None else Preprocess(input_scale, fit.value)
    with progress_bars() as progress:
        result = compress_model(
            model,
            block,
            layers=None if layers is None else parse_layers(layers),
            training=train,
            labels=labels,
            test=test,
            calibration=calibration,
            recipe=Recipe(epochs, learning_rate, batch_size, seed, gradual, shift, distil, average),
            allow_untuned=allow_untuned,
            preprocess=preprocess,
            progress=progress,
        )
    result.write(output)
    typer.echo(result.summary())
    typer.echo(f"Written to {output}. Next: intarsia compile {output}")


@app.command()
def cut(
    directory: Annotated[Path, typer.Argument(help="A project that `intarsia compile` wrote.")],
    after: Annotated[str, typer.Option(help="The layer whose result becomes the output.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the project to write.")],
) -> None:
    """End a project's model after a layer: bisects a fault on a board that shows outputs only."""
    _require_free(output, force=False)
    from intarsia.verify.cut import compile_prefix

    compile_prefix(directory, after).write(output)
    typer.echo(f"Written to {output}. Build and run it, then: intarsia verify {output} --trace board.npz")


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the project.")] = Path(
        "intarsia-demo"
    ),
    board: BoardWorld = "emulated",
) -> None:
    """Compile the bundled LeNet-5 for the KV260 and verify it on handwritten digits."""
    from importlib.resources import as_file, files

    from . import compile
    from .terminal import progress_bars

    _require_free(output, force=True)
    folder = files("intarsia.demo")
    html = output / "verification.html"
    with as_file(folder / "lenet5.onnx") as model, as_file(folder / "mnist.npz") as images:
        with progress_bars() as progress:
            design = compile(model, board="kv260", calibration=images, progress=progress)
            design.write(output, replace=True)
        typer.echo(design.summary())
        report = _verify(output, images, board, html=html)
    typer.echo(
        f"project       {output}, explained in {output / 'README.md'}\n"
        f"schedule      {output / 'report.html'}\n"
        f"verification  {html}"
    )
    _exit_by(report)


@app.command()
def boards() -> None:
    """List the boards."""
    from rich.console import Console
    from rich.table import Table

    from .board import board_names, load_board

    heads = ("board", "family", "part", "MHz", "DSP", "BRAM18", "URAM", "LUT")
    table = Table(*heads, box=None, pad_edge=False)
    for name in board_names():
        board = load_board(name)
        have = board.resources
        figures = (f"{board.clock_mhz:g}", have.dsp, have.bram18, have.uram, have.lut)
        table.add_row(name, board.family, board.part, *map(str, figures))
    Console(width=100).print(table)  # parts are names to be copied whole, so no narrow terminal cuts them
    typer.echo("For another board, give --board the path of a .toml file; boards/*.toml are examples.")


@app.command()
def operators() -> None:
    """List the operators, and the ONNX nodes they are made from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from .normalise import REPLACED
    from .ops import OPERATORS

    table = Table("operator", "ONNX nodes", "", box=None, pad_edge=False)
    for operator in OPERATORS:
        first_line = (operator.__doc__ or "").strip().split("\n")[0]
        table.add_row(operator.name, ", ".join(operator.onnx_types), escape(first_line))
    for onnx_type, meaning in REPLACED.items():
        table.add_row("(replaced)", onnx_type, meaning)
    Console(soft_wrap=True).print(table)


@app.command("check-registers")
def check_registers(
    directory: Annotated[Path, typer.Argument(help="A project that the vendor's tools have worked on.")],
) -> None:
    """Compare the predicted register map with the one that Vitis HLS or Vivado wrote. Exit code 1 if they differ."""
    from .register_check import check_registers

    comparisons = check_registers(directory)
    for comparison in comparisons:
        typer.echo(f"{comparison.source}: {'agrees' if comparison.agrees else 'DIFFERS'}")
        for name, predicted, found in comparison.offsets:
            shown = "missing" if found is None else f"{found:#04x}"
            typer.echo(
                f"  {name:14}predicted {predicted:#04x}, found {shown}{'' if predicted == found else '  <--'}"
            )
    if not all(comparison.agrees for comparison in comparisons):
        typer.echo(
            "The driver would write to wrong registers. Compile again without changing the top function."
        )
        raise typer.Exit(DIVERGED)


@app.command()
def doctor() -> None:
    """Check what this machine has: compiler, board client, packages, vendor tools. Exit code 2 if one is missing."""
    from .doctor import State, checks

    missing = 0
    for check in checks():
        typer.echo(f"{check.state.value:8}{check.what:14}{check.detail}")
        missing += check.state is State.MISSING
    if missing:
        raise typer.Exit(COULD_NOT_RUN)


@app.command("import-reports")
def import_reports(
    directory: Annotated[
        Path, typer.Argument(help="Where reports of Vitis HLS or Vivado are, at any depth.")
    ],
    design: Annotated[
        Path | None,
        typer.Option(help="The project they are of; if not given, the one that the directory is in, if any."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(help="Write measured costs here; measured_costs.json in the project if not given."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON.")] = None,
) -> None:
    """Read vendor reports, show them beside the estimates, and write what the next `compile` should take."""
    from rich.console import Console

    from .cost_file import write_costs
    from .reports import read_reports
    from .reports.comparison import compare
    from .reports.expectation import project_of, read_expectation
    from .reports.show import comparison_tables, implementation_lines, report_tables, to_json

    reports = read_reports(directory)
    project = design or project_of(directory)
    if costs and not project:
        raise IntarsiaError("--costs needs the project that the reports are of: give it with --design")
    expectation = read_expectation(project) if project else None
    comparison = compare(expectation, reports) if expectation and reports.syntheses else None
    if costs and not comparison:
        raise IntarsiaError(
            f"--costs needs a csynth.xml, and {directory} has none: run `make hls` in the project"
        )
    console = Console(soft_wrap=True, width=_WIDEST)
    for item in report_tables(reports):
        console.print(item, highlight=False)
    if expectation:
        for line in implementation_lines(expectation, reports):
            console.print(line, highlight=False)
    if json_file:
        _write(json_file, json.dumps(to_json(reports, comparison), indent=2, default=str) + "\n")
    if not (project and comparison):
        return
    for item in comparison_tables(comparison):
        console.print(item, highlight=False)
    path = costs or project / "measured_costs.json"
    write_costs(comparison.measured, path)
    typer.echo(f"Written to {path}. Next: intarsia compile MODEL --measured-costs {path} ...")


@app.command("setup-board")
def setup_board() -> None:
    """Make the Python environment of the PYNQ client, for emulated and real boards (about a minute)."""
    from intarsia.boards import environment

    typer.echo("Setting up the board client...")
    typer.echo(f"The board client is ready: {environment.create()}")


def _verify(
    directory: Path,
    inputs: Path | None,
    board: str,
    samples: int | None = None,
    json_file: Path | None = None,
    junit: Path | None = None,
    html: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Run the verifier, print its table and write its files."""
    from rich.console import Console

    from intarsia import verify as verifier

    from .terminal import progress_bars

    with progress_bars() as progress:
        report = verifier.run(
            directory, inputs, board=board, samples=samples, progress=progress, **(options or {})
        )
    report.print(Console())
    if json_file:
        _write(json_file, json.dumps(report.to_json(), indent=2) + "\n")
    if junit:
        _write(junit, report.to_junit())
    if html:
        _write(html, report.to_html())
    return report


def _exit_by(report: Report) -> None:
    if not report.passed:
        raise typer.Exit(DIVERGED if report.first_divergence else COULD_NOT_RUN)


def _require_alone(context: typer.Context, option: str) -> None:
    """Refuse options that say what `option` says already."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        if given and parameter.name not in ("point", "output", "force", "fifo_sizing", "measured_costs"):
            name = parameter.opts[0] if parameter.param_type_name == "option" else "MODEL"
            raise IntarsiaError(f"{name} contradicts {option}, which chooses it already: give one of them")


def _require_writable(output: Path) -> None:
    """Refuse before the work an output whose folder cannot be written to."""
    parent = next(folder for folder in output.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        why = "is no directory" if not parent.is_dir() else "cannot be written to"
        raise IntarsiaError(f"cannot make {output}: {parent} {why}. Choose another place with -o")


def _require_free(output: Path, force: bool) -> None:
    """Refuse before the work what Design.write would refuse after it."""
    _require_writable(output)
    if not output.exists() or (force and (output / "design.json").is_file()):
        return
    if force:
        raise IntarsiaError(
            f"{output} exists and is not a project of intarsia: choose another directory with -o"
        )
    raise IntarsiaError(
        f"{output} exists already: choose another directory, or replace a project with --force"
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IntarsiaError(f"cannot write {path}: {error.strerror}") from error


def main() -> None:
    """Entry point of the `intarsia` command."""
    app(prog_name="intarsia")


if __name__ == "__main__":
    main()

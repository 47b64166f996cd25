"""`intarsia verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .choices import BoardWorld
from .verification import exit_by, verify_project


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
        float | None,
        typer.Option(
            min=0.1, help="Seconds that the C-simulation or a board may take for a batch; else 600."
        ),
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
    exit_by(verify_project(directory, inputs, board, samples, json_file, junit, html, options))

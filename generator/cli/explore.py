"""`intarsia explore`: its options, and what it prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import IntarsiaError
from .choices import InputScale

if TYPE_CHECKING:
    from ..explore.grid import Grid
    from ..explore.sweep import Sweep

WIDTH = 110
SHOWN = 12
"""Points of the front that the terminal shows."""


def explore(
    model: Annotated[Path, typer.Argument(help="A trained float model (.onnx).")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Directory of the sweep; continued if it is there.")
    ],
    board: Annotated[
        str, typer.Option(help="Boards: names from `intarsia boards`, or .toml files.")
    ] = "kv260",
    bits: Annotated[
        str, typer.Option(help="Bits of weights and activations; 4x8 is 4-bit weights, 8-bit activations.")
    ] = "4x8,8,16",
    circulant: Annotated[
        str,
        typer.Option(
            help="Sizes of circulant blocks of weights: 2, 4, .. 64; 1 leaves the weights as they are."
        ),
    ] = "1",
    lanes: Annotated[str, typer.Option(help="Elements per word.")] = "4,8,16,32",
    clock_mhz: Annotated[str | None, typer.Option(help="Clocks; each board's own if not given.")] = None,
    schedule: Annotated[str, typer.Option(help="Kinds: mixed, dataflow, sequential; auto is all.")] = "auto",
    budget: Annotated[str, typer.Option(help="Percents of the board's logic to use.")] = "25,50,100",
    samples: Annotated[
        Path | None,
        typer.Option(help="Real samples (.npz, .npy) for accuracy, with labels if it is to be counted."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of the samples, if in a file of their own.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Samples for number ranges; those of --samples if not given.")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="Samples to fine-tune circulant weights on (.npz, .npy), labels in the same file."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the samples of --train.")] = 40,
    input_scale: InputScale = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; one for each core if not given.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler that does the work: tcp://host:8786.")
    ] = None,
) -> None:
    """Schedule, cost and judge a grid of designs: the trade-offs as a page, and every point ready to compile.

    Options with several values take them with commas: --bits 4,8 --lanes 8,16.
    """
    if labels and not samples:
        raise IntarsiaError("--labels needs --samples: the labels belong to them")
    if cluster and jobs:
        raise IntarsiaError("--jobs is for this machine and --cluster for a Dask cluster: give one of them")
    from ..explore.circulant import Training
    from ..explore.sweep import explore_model
    from ..samples import Preprocess
    from ..terminal import progress_bars

    grid = _grid(board, bits, circulant, lanes, clock_mhz, schedule, budget)
    if train and set(grid.circulant) == {1}:
        raise IntarsiaError(
            "--train fine-tunes circulant weights: give sizes of blocks, as in --circulant 1,4"
        )
    with progress_bars() as progress:
        sweep = explore_model(
            model,
            output,
            grid,
            samples=samples,
            labels=labels,
            calibration=calibration,
            training=Training(train, epochs),
            preprocess=Preprocess() if input_scale is None else Preprocess(input_scale),
            jobs=jobs or len(os.sched_getaffinity(0)),
            address=cluster,
            progress=progress,
        )
    _print(sweep)


def _grid(
    board: str, bits: str, circulant: str, lanes: str, clock_mhz: str | None, schedule: str, budget: str
) -> Grid:
    from ..explore.grid import Grid, bits_from, boards_from, integers_from, numbers_from, schedules_from

    return Grid(
        boards=boards_from(board),
        bits=bits_from(bits),
        circulant=integers_from("--circulant", circulant),
        lanes=integers_from("--lanes", lanes),
        clocks_mhz=(None,) if clock_mhz is None else numbers_from("--clock-mhz", clock_mhz),
        schedules=schedules_from(schedule),
        budgets=numbers_from("--budget", budget),
    )


def _print(sweep: Sweep) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..explore.words import board_name, micro

    front = sorted(sweep.front, key=lambda point: (point.choice.board, point.merits))
    table = Table(
        "#", "board", "bits", "lanes", "schedule", "time", "DSP", "BRAM18", "bytes", "accuracy",
        box=None, pad_edge=False,
    )  # fmt: skip
    for point in front[:SHOWN]:
        choice, cost, quality = point.choice, point.cost, point.quality
        assert cost is not None and quality is not None
        merit = f"{quality.sqnr_db:.1f} dB" if quality.accuracy is None else f"{quality.accuracy:.1%}"
        figures = (cost.dsp, cost.bram18, cost.off_chip_bytes)
        table.add_row(
            str(point.number), board_name(choice.board), choice.numeric.label, str(choice.lanes), choice.schedule,
            micro(cost.latency_us), *(f"{figure:,}" for figure in figures), merit,
        )  # fmt: skip
    Console(width=WIDTH).print(table)
    if len(front) > SHOWN:
        typer.echo(f"... and {len(front) - SHOWN} more on the front")
    for note in sweep.notes:
        typer.echo(f"note       {note}")
    infeasible = len(sweep.points) - len(sweep.standings)
    resumed = f", {sweep.resumed} jobs of an earlier run kept" if sweep.resumed else ""
    typer.echo(
        f"{len(sweep.points)} points, {infeasible} infeasible, {len(front)} on the front; "
        f"{sweep.seconds:.0f} s, {sweep.cpu_seconds:.0f} s of CPU{resumed}"
    )
    typer.echo(f"Written to {sweep.directory}. Look at {sweep.directory / 'index.html'}")
    if front:
        typer.echo(
            f"Next: intarsia compile --from {sweep.directory / 'points.json'}#{front[0].number} -o DIRECTORY"
        )

"""`intarsia bisect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exit_codes import COULD_NOT_RUN, DIVERGED
from .output_paths import require_writable


def bisect(
    directory: Annotated[Path, typer.Argument(help="A project that `intarsia compile` wrote.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the shorter models and the board's answers.")
    ],
    run: Annotated[
        str,
        typer.Option(help="Shell command that builds {project}, runs {inputs} on the board, writes {trace}."),
    ] = "",
) -> None:
    """Find the layer that a board gets wrong which shows outputs only: shorter models, about log2 of the layers."""
    require_writable(output / "x")
    from intarsia.verify.bisect import bisect as search

    from ..terminal import progress_bars

    with progress_bars() as progress:
        found = search(directory, output, run, progress)
    for layer, right in found.right.items():
        typer.echo(f"up to {layer}: {'right' if right else 'wrong'}")
    if asked := found.waiting:
        typer.echo(
            f"Suspects: {', '.join(found.suspects)}\n"
            f"Next: build {asked.project}, run it on the board with --inputs {asked.inputs} --outputs {asked.trace}, "
            "then give this command again"
        )
        raise typer.Exit(COULD_NOT_RUN)
    if found.layer is None:
        typer.echo("The board is right after every layer that was asked for")
        return
    shown = found.report.first_divergence if found.report else None
    typer.echo(f"FIRST WRONG LAYER: {found.layer}" + (f"; {shown}" if shown else ""))
    raise typer.Exit(DIVERGED)

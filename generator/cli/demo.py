"""`intarsia demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .choices import BoardWorld
from .output_paths import require_free
from .verification import exit_by, verify_project


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the project.")] = Path(
        "intarsia-demo"
    ),
    board: BoardWorld = "emulated",
) -> None:
    """Compile the bundled LeNet-5 for the KV260 and verify it on handwritten digits."""
    from importlib.resources import as_file, files

    from .. import compile
    from ..terminal import progress_bars

    require_free(output, force=True)
    folder = files("intarsia.demo")
    html = output / "verification.html"
    with as_file(folder / "lenet5.onnx") as model, as_file(folder / "mnist.npz") as images:
        with progress_bars() as progress:
            design = compile(model, board="kv260", calibration=images, progress=progress)
            design.write(output, replace=True)
        typer.echo(design.summary())
        report = verify_project(output, images, board, html=html)
    typer.echo(
        f"project       {output}, explained in {output / 'README.md'}\n"
        f"schedule      {output / 'report.html'}\n"
        f"verification  {html}"
    )
    exit_by(report)

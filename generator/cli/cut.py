"""`intarsia cut`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output_paths import require_free


def cut(
    directory: Annotated[Path, typer.Argument(help="A project that `intarsia compile` wrote.")],
    after: Annotated[str, typer.Option(help="The layer whose result becomes the output.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the project to write.")],
) -> None:
    """End a project's model after a layer: bisects a fault on a board that shows outputs only."""
    require_free(output, force=False)
    from intarsia.verify.cut import compile_prefix

    compile_prefix(directory, after).write(output)
    typer.echo(f"Written to {output}. Build and run it, then: intarsia verify {output} --trace board.npz")

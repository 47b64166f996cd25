"""`intarsia check-registers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exit_codes import DIVERGED


def check_registers(
    directory: Annotated[Path, typer.Argument(help="A project that the vendor's tools have worked on.")],
) -> None:
    """Compare the predicted register map with the one that Vitis HLS or Vivado wrote. Exit code 1 if they differ."""
    from ..project.register_check import check_registers

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

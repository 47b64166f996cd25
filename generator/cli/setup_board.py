"""`intarsia setup-board`."""

from __future__ import annotations

import typer


def setup_board() -> None:
    """Make the Python environment of the PYNQ client, for emulated and real boards (about a minute)."""
    from intarsia.boards import environment

    typer.echo("Setting up the board client...")
    typer.echo(f"The board client is ready: {environment.create()}")

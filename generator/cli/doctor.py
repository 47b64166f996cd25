"""`intarsia doctor`."""

from __future__ import annotations

import typer

from .exit_codes import COULD_NOT_RUN


def doctor() -> None:
    """Check what this machine has: packages, C++ compiler, board client, vendor tools. Exit code 2 if verification lacks one."""
    from ..doctor import State, checks

    missing = 0
    for check in checks():
        typer.echo(f"{check.state.value:10}{check.what:14}{check.detail}")
        missing += check.state is State.MISSING
    if missing:
        raise typer.Exit(COULD_NOT_RUN)

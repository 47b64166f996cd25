"""What the command line shows while it works: progress bars on a terminal, and one line for an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .progress import Progress, silent

_PATIENCE = 1.0
"""Seconds of work before a bar appears."""


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar on standard error for each description that work tells; none if that is not a terminal.

    Descriptions that differ only behind their first colon share a bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Bars(*columns, console=console, transient=True)
    known = {}
    begin = time.monotonic()

    def show(description: str, done: int, total: int) -> None:
        if time.monotonic() - begin < _PATIENCE:
            return
        work = description.partition(": ")[0]
        if work not in known:
            bars.start()
            known[work] = bars.add_task(description)
        bars.update(known[work], description=description, completed=done, total=total)

    try:
        yield show
    finally:
        bars.stop()


def print_error(message: str) -> None:
    """One red `error:` on standard error, the message as it is."""
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(("error: ", "bold red"), message)
    Console(stderr=True).print(text, soft_wrap=True, highlight=False)

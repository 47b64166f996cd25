"""Output into a pipe that its reader has closed, as `| head` does: the program ends, and says nothing."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable

from .exit_codes import PIPE_CLOSED


def output_closed() -> bool:
    """True if nobody reads standard output any more. A pipe to a program that intarsia started may break as well."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # tests put something else in its place
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def ending_quietly(program: Callable[[], None]) -> None:
    """Runs a program that ends by SystemExit, which is that of a closed pipe if one was the reason."""
    try:
        try:
            program()
        finally:
            sys.stdout.flush()  # now, because an error at the end of the interpreter is printed
    except (BrokenPipeError, SystemExit) as end:
        # Typer and Rich make SystemExit(1) of a closed pipe, but 1 is a verdict here.
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        raise SystemExit(PIPE_CLOSED) from None

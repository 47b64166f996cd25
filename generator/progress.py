"""How long work tells what it does: a callable, so that nothing below the command line knows of a terminal."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is done, and how much there is."""


def silent(description: str, done: int, total: int) -> None:
    """Tell nobody."""

"""The command line, as `intarsia` and `python -m intarsia`."""

from __future__ import annotations

from .cli.app import app
from .cli.closed_pipe import ending_quietly


def main() -> None:
    """Entry point of the `intarsia` command."""
    ending_quietly(lambda: app(prog_name="intarsia"))


if __name__ == "__main__":
    main()

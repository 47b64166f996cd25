"""`intarsia boards`."""

from __future__ import annotations

import typer


def boards() -> None:
    """List the boards."""
    from rich.console import Console
    from rich.table import Table

    from ..board import board_names, load_board

    heads = ("board", "family", "part", "MHz", "DSP", "BRAM18", "URAM", "LUT")
    table = Table(*heads, box=None, pad_edge=False)
    for name in board_names():
        board = load_board(name)
        have = board.resources
        figures = (f"{board.clock_mhz:g}", have.dsp, have.bram18, have.uram, have.lut)
        table.add_row(name, board.family, board.part, *map(str, figures))
    Console(width=100).print(table)  # parts are names to be copied whole, so no narrow terminal cuts them
    typer.echo("For another board, give --board the path of a .toml file; boards/*.toml are examples.")

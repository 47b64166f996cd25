"""`intarsia operators`."""

from __future__ import annotations


def operators() -> None:
    """List the operators, and the ONNX nodes they are made from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..onnx_graph.normalise import REPLACED
    from ..onnx_graph.whole_numbers import ON_INTEGERS
    from ..ops import OPERATORS

    table = Table("operator", "ONNX nodes", "", box=None, pad_edge=False)
    for operator in OPERATORS:
        first_line = (operator.__doc__ or "").strip().split("\n")[0]
        table.add_row(operator.name, ", ".join(operator.onnx_types), escape(first_line))
    for onnx_type, meaning in REPLACED.items():
        table.add_row("(replaced)", onnx_type, meaning)
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"On integers and booleans too: {', '.join(ON_INTEGERS)}")

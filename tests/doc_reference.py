"""Pages of the reference that are made from the code: options, operators, boards."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from typer.main import get_command

from intarsia.__main__ import app
from intarsia.board import board_names, load_board
from intarsia.onnx_graph.normalise import REPLACED
from intarsia.onnx_graph.whole_numbers import ON_INTEGERS
from intarsia.ops import OPERATORS

_MADE = "<!-- made from the code by tests/refresh_docs.py; a test compares it -->\n"


def options_page() -> str:
    """Every command with its arguments and options."""
    commands: Mapping[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    parts = [
        f"{_MADE}# Options\n",
        (
            "Every command has `--help` as well, and `intarsia --debug COMMAND ...` shows the traceback of an error. Exit codes: 0 "
            "done (`verify`, `demo`: all worlds agree; `check-registers`: the registers agree), 1 they do not, 2 it could not be "
            "done, 130 interrupted, 141 whoever read the output has closed it.\n"
        ),
    ]
    callbacks = {
        info.name or info.callback.__name__: info.callback
        for info in app.registered_commands
        if info.callback
    }
    for name, command in sorted(commands.items()):
        types = get_type_hints(callbacks[name])
        help_text = inspect.cleandoc(command.help or "").replace("\n", " ")
        parts += [f"## {name}\n", f"{help_text}\n"]
        rows = [
            _parameter(parameter, types[parameter.name])
            for parameter in command.params
            if parameter.name != "help"
        ]
        if rows:
            parts.append(_table(("", "values", "if not given", ""), rows))
    return "\n".join(parts)


def _parameter(parameter: Any, annotation: Any) -> tuple[str, ...]:
    if parameter.param_type_name == "argument":
        shown = f"`{parameter.name.upper()}`"
    else:
        shown = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    help_text = (parameter.help or "").replace("|", "\\|")
    return shown, _values(annotation), _default(parameter), help_text


def _values(annotation: Any) -> str:
    """What may be given for a Python type."""
    if get_origin(annotation) is list:
        return f"{_values(get_args(annotation)[0])}, repeatable"
    alternatives = [kind for kind in get_args(annotation) if kind is not NoneType]
    if alternatives:
        return _values(alternatives[0])
    if issubclass(annotation, Enum):
        return ", ".join(f"`{choice.value}`" for choice in annotation)
    return {bool: "flag", int: "number", float: "number", Path: "path", str: "text"}[annotation]


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    if isinstance(value, bool):
        both = (*parameter.opts, *parameter.secondary_opts)
        return f"`{both[0 if value else 1]}`" if len(both) > 1 and parameter.secondary_opts else ""
    if value is None or callable(value) or value == () or value == []:
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def operators_page() -> str:
    """Operators with hardware, and those that passes remove."""
    hardware = [operator for operator in OPERATORS if not operator.transient]
    removed = [operator for operator in OPERATORS if operator.transient]
    return "\n".join(
        [
            f"{_MADE}# Operators\n",
            "`intarsia operators` prints this list. Sizes, attributes and models that are refused, with the reason:",
            "[limits.md](limits.md#what-is-refused). How to [add one](new-operator.md).\n",
            "## In hardware\n",
            "The letters are those of ONNX. Operators without ONNX nodes are made from others by passes.\n",
            _table(("operator", "ONNX nodes", "computes"), map(_operator, hardware)),
            "## Folded into others\n",
            "They have no hardware of their own, and where they stand in a model decides whether they can be folded away.\n",
            _table(
                ("operator", "ONNX nodes", "computes", "may stand"),
                ((*_operator(operator), operator.transient) for operator in removed),
            ),
            "## Replaced by others\n",
            _table(
                ("ONNX node", "becomes"), ((name, _escaped(meaning)) for name, meaning in REPLACED.items())
            ),
            (
                "Identity, Dropout and Cast to the same type vanish. Constants are folded, whatever computes them. Normalisations "
                "and functions that an exporter has written out in parts are put together again. QuantizeLinear, "
                "DequantizeLinear, the QLinear family and QONNX's quantisers become "
                "[number formats](numbers.md#models-that-come-quantised).\n"
            ),
            "## On integers and booleans\n",
            f"Exactly, [as whole numbers](numbers.md#whole-numbers): {', '.join(ON_INTEGERS)}.\n",
            "## On the host\n",
            "First and last nodes that have no hardware may run on the host: [host-ops.md](host-ops.md).\n",
        ]
    )


def _operator(operator: Any) -> tuple[str, ...]:
    first = (operator.__doc__ or "").strip().split("\n\n")[0]
    return operator.name, ", ".join(operator.onnx_types), _escaped(" ".join(first.split()))


def boards_page() -> str:
    """The boards with their resources, and where the figures are from."""
    boards = [load_board(name) for name in board_names()]
    heads = ("name", "board", "family", "part", "MHz", "DSP", "BRAM18", "URAM", "LUT", "FF", "DRAM GB/s")
    rows = (
        (
            f"`{board.name}`", board.title, board.family, board.part, f"{board.clock_mhz:g}",
            *(f"{value:,}" for value in (board.resources.dsp, board.resources.bram18, board.resources.uram,
                                         board.resources.lut, board.resources.ff)),
            f"{board.memory.bandwidth_gb_s:g}",
        )
        for board in boards
    )  # fmt: skip
    return "\n".join(
        [
            f"{_MADE}# Boards and their resources\n",
            (
                "What was and was not tried on them: [boards.md](boards.md). One of [your own](boards.md#a-board-of-your-own). Each "
                "file `boards/*.toml` says where its figures are from.\n"
            ),
            _table(heads, rows),
        ]
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines) + "\n"


def _escaped(text: str) -> str:
    """Text of a docstring in a table: names in backquotes stay, stars and bars are no Markdown."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part.replace("*", "\\*") if index % 2 == 0 else part for index, part in enumerate(parts))


REFERENCE: Mapping[str, Callable[[], str]] = {
    "reference-options.md": options_page,
    "reference-operators.md": operators_page,
    "reference-boards.md": boards_page,
}


def write_reference(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, page in REFERENCE.items():
        (folder / name).write_text(page(), encoding="utf-8")

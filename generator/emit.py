"""Emission: from the machine to the text of the C++ sources. Pure; files are written by project/directory.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from .machine.constants import Constant
from .machine.machine import Config, Machine
from .rendering import render

_STEPS_PER_LINE = 16

WATCHED = ("phase", "cycles")
"""Arguments that the watch writes: how many phases have finished, and the cycles of the launch."""

COUNT_BYTES = 4
"""Of the count of cycles, where it is written to memory."""


def emit_sources(machine: Machine, generated: str) -> dict[str, str]:
    """Files of the project's src/ folder, by relative path.

    Args:
        machine: what to emit.
        generated: the line that says what made the files.
    """
    context = {"machine": machine, "kernel": machine.name, "design": machine.name, "generated": generated}
    rendered = {
        "config.hpp": render("config.hpp.j2", context),
        "program.hpp": render("program.hpp.j2", context | _program(machine)),
        "top.cpp": render("top.cpp.j2", context | _top(machine)),
    }
    return rendered | {f"intarsia/{name}": text for name, text in kernel_headers().items()}


@cache
def kernel_headers() -> Mapping[str, str]:
    """The kernel library, by file name; copied verbatim into every project."""
    folder = files("intarsia.hls_kernels")
    headers = {item.name: item.read_text() for item in folder.iterdir() if item.name.endswith(".hpp")}
    return MappingProxyType(dict(sorted(headers.items())))


def _program(machine: Machine) -> dict[str, Any]:
    """What program.hpp needs beyond the machine: its structs as text, and the headers of the kernels they configure."""
    headers = {row.header for config in machine.configs for row in config.rows[0]}
    return {"configs": [_config(config) for config in machine.configs], "headers": sorted(headers)}


def _config(config: Config) -> dict[str, Any]:
    first = config.rows[0][0]
    rows = [
        {
            "initialiser": _initialiser(row) if config.by_tap else _initialiser(row[0]),
            "comment": comment,
        }
        for row, comment in zip(config.rows, config.comments, strict=True)
    ]
    return {
        "name": config.name,
        "purpose": config.purpose,
        "constants": [_constant(constant) for constant in config.constants],
        "row_type": first.type,
        "fields": ", ".join(field.name for field in fields(first)),
        "rows": rows,
        "by_tap": config.by_tap,
        "taps": len(config.rows[0]),
        "steps": [
            config.steps[at : at + _STEPS_PER_LINE] for at in range(0, len(config.steps), _STEPS_PER_LINE)
        ],
    }


def _constant(constant: Constant) -> dict[str, Any]:
    kind = "bool" if constant.value in ("true", "false") else "int"
    return {
        "name": constant.name,
        "value": constant.value,
        "comment": constant.comment,
        "is_type": constant.is_type,
        "type": kind,
    }


def _initialiser(value: Any) -> str:
    """C++ initialiser of a row, of a tuple of rows, or of a number."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case tuple():
            return "{" + ", ".join(map(_initialiser, value)) + "}"
        case _:
            return _initialiser(tuple(getattr(value, field.name) for field in fields(value)))


def _top(machine: Machine) -> dict[str, Any]:
    """What top.cpp needs beyond the machine: parameters of the region, and its call for each binding of memories."""
    weights = ["weights"] if machine.first else []
    pointers = ["input", "output", *weights, *(["taps"] if machine.taps else []), *machine.spills]
    declared = _declarations(machine)
    numbers = [*(["samples"] if machine.batch > 1 else []), *(["tap"] if machine.taps else [])]
    passed = [name for name in declared if name not in WATCHED]
    return {
        "region_parameters": [
            "int phase",
            *(declared[name] for name in numbers),
            "stream<bool>& finished",
            "const word_t* input",
            "word_t* output",
            *(f"const bytes_t* {name}" for name in weights),
            *(["word_t* taps"] if machine.taps else []),
            *(_spill(name) for name in machine.spills),
            *machine.memory_ports,
        ],
        "calls": [[*numbers, "finished", *pointers, *bound] for bound in machine.bindings],
        "ports": _ports(machine),
        "registers": [name for name in declared if name not in argument_words(machine)],
        "sample_parameters": [*(declared[name] for name in passed), "stream<bool>& finished"],
        "sample_arguments": [*passed, "finished"],
        "parameters": kernel_parameters(machine),
        "copies": ("0", "1") if machine.first else ("",),
        "loads": next((c.rows[0][0].type for c in machine.configs if c.name == "Loads"), ""),
        "first": _initialiser(machine.first) if machine.first else "",
    }


def _ports(machine: Machine) -> list[dict[str, Any]]:
    sizes = argument_words(machine)
    return [{"name": name, "bundle": f"gmem_{name}", "depth": words} for name, words in sizes.items()]


def argument_bytes(machine: Machine) -> dict[str, int]:
    """Bytes of each DRAM buffer, by argument name, in argument order."""
    word = {"weights": machine.weight_bytes, "cycles": COUNT_BYTES}
    return {
        name: words * word.get(name, machine.word_bytes) for name, words in argument_words(machine).items()
    }


def argument_words(machine: Machine) -> dict[str, int]:
    """Words of each DRAM buffer, by argument name, in argument order; taps show one sample."""
    return {
        "input": machine.batch * sum(place.words for place in machine.inputs),
        "output": machine.batch * sum(place.words for place in machine.outputs),
        "weights": len(machine.weights) // machine.weight_bytes,
        "taps": sum(place.words for place in machine.taps),
        **dict.fromkeys(machine.spills, machine.spill_words),
        **({"cycles": 1} if machine.cycles_in_memory else {}),
    }


def kernel_parameters(machine: Machine) -> list[str]:
    """Declarations of the arguments of the top function, in order, as they read outside of its namespace."""
    return [re.sub(r"\b(word_t|bytes_t)\b", r"design::\1", text) for text in _declarations(machine).values()]


def argument_names(machine: Machine) -> tuple[str, ...]:
    """Arguments of the top function, in order."""
    return tuple(_declarations(machine))


def _declarations(machine: Machine) -> dict[str, str]:
    """Declarations of the arguments of the top function, by name."""
    return {
        "input": "const word_t* input",
        "output": "word_t* output",
        "weights": "const bytes_t* weights",
        "taps": "word_t* taps",
        **{name: _spill(name) for name in machine.spills},
        "load_weights": "int load_weights",
        **({"samples": "unsigned samples"} if machine.batch > 1 else {}),
        "tap": "int tap",
        "phase": "volatile uint32_t* phase",
        "cycles": "uint32_t* cycles",
    }


def _spill(name: str) -> str:
    """Declaration of an argument that reaches spilled tensors: the last one writes them, the others read."""
    return f"word_t* {name}" if name == "spills_out" else f"const word_t* {name}"

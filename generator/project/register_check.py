"""The predicted register map against the one that the vendor's tools have written.

Vitis HLS leaves its map in `x<top>_hw.h`, in the drivers of the packaged IP, and in `control.h` of its own folder; Vivado
writes it to the .hwh. Both formats were read off files in public repositories.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from intarsia.boards.emulated_overlay import register_name

from ..errors import IntarsiaError


class RegisterCheckError(IntarsiaError):
    """There is nothing to compare, or it cannot be read."""


@dataclass(frozen=True)
class Comparison:
    """One file of the tools: where it puts each argument, beside the prediction; None where it has no such register."""

    source: Path
    offsets: tuple[tuple[str, int, int | None], ...]

    @property
    def agrees(self) -> bool:
        """Whether every argument is where it was predicted."""
        return all(predicted == found for _, predicted, found in self.offsets)


def check_registers(project: Path) -> list[Comparison]:
    """Compares the manifest of a project with every register map that the tools have left in it.

    Raises:
        RegisterCheckError: There is no manifest, no register map of the tools, or one that cannot be read.
    """
    path = project / "deploy/manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RegisterCheckError(
            f"cannot read {path}: {error}. Give a project of `intarsia compile`"
        ) from error
    headers = sorted({*project.rglob(f"x{manifest['kernel']}_hw.h"), *project.rglob("coregen/control.h")})
    handoffs = sorted(project.glob("deploy/*.hwh"))
    if not headers and not handoffs:
        raise RegisterCheckError(
            f"there is no x{manifest['kernel']}_hw.h, control.h or .hwh in {project}: run `make hls` or `make bitstream` "
            "there first"
        )
    found = [(path, header_offsets(path.read_text(errors="replace"))) for path in headers]
    found += [(path, handoff_offsets(path, manifest["instance"])) for path in handoffs]
    return [_compare(path, manifest["arguments"], offsets) for path, offsets in found]


def header_offsets(text: str) -> dict[str, int]:
    """First offset of each argument in a register header of Vitis HLS; others of the same name are its later words."""
    offsets: dict[str, int] = {}
    for offset, name in re.findall(r"//\s*(0x[0-9a-fA-F]+)\s*:\s*Data signal of (\w+)", text):
        offsets.setdefault(name, int(offset, 16))
    return offsets


def handoff_offsets(path: Path, instance: str) -> dict[str, int]:
    """First offset of each register of a block in a .hwh; the `_1` of an argument of two words is taken off.

    Raises:
        RegisterCheckError: The file is no handoff, or the block is not in it.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise RegisterCheckError(f"{path} is not a hardware handoff: {error}") from error
    modules = [module for module in root.iter("MODULE") if module.get("INSTANCE") == instance]
    if not modules:
        raise RegisterCheckError(
            f"{path} has no block '{instance}': copy the .hwh that belongs to this project"
        )
    registers = {
        str(register.get("NAME")): int(str(item.get("VALUE")), 0)
        for register in modules[0].iter("REGISTER")
        for item in register.findall("PROPERTY")
        if item.get("NAME") == "ADDRESS_OFFSET"
    }
    halves = {
        name[:-2] for name in registers if f"{name[:-2]}_1" in registers and f"{name[:-2]}_2" in registers
    }
    return registers | {name: registers[f"{name}_1"] for name in halves}


def _compare(source: Path, arguments: list[dict[str, Any]], found: Mapping[str, int]) -> Comparison:
    return Comparison(
        source,
        tuple(
            (argument["name"], argument["offset"], found.get(register_name(argument["name"])))
            for argument in arguments
        ),
    )

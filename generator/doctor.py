"""What this machine has of what intarsia needs."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, requires, version

from .errors import IntarsiaError

VENDOR_TOOLS = ("vitis-run", "v++", "vitis_hls", "vivado")


class State(Enum):
    """How a check ended."""

    OK = "ok"
    OPTIONAL = "optional"
    """Not there, and only needed for more than verification."""
    MISSING = "missing"
    """Not there, and verification cannot run without it, or not all of it."""


@dataclass(frozen=True)
class Check:
    """What was looked for, how that ended, and what was found or what to do."""

    what: str
    state: State
    detail: str


def checks() -> Iterator[Check]:
    """Look for intarsia's packages, the C++ compiler, the board client and the vendor tools, one after the other."""
    yield Check("intarsia", State.OK, f"{version('intarsia')}, Python {platform.python_version()}")
    yield _packages()
    yield _compiler()
    yield _board_client()
    yield from map(_vendor_tool, VENDOR_TOOLS)


def _packages() -> Check:
    found = []
    for line in requires("intarsia") or ():
        if "extra" in line:
            continue
        name = line.split(">")[0].strip()
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Check("packages", State.MISSING, f"{name} is not installed: pip install '{line}'")
    return Check("packages", State.OK, ", ".join(found))


def _compiler() -> Check:
    from .simulation.build import find_compiler

    try:
        path = find_compiler()
    except IntarsiaError as error:
        return Check("C++ compiler", State.MISSING, str(error))
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return Check(
        "C++ compiler", State.OK, f"{path}: {(shown.strip().splitlines() or ['version unknown'])[0]}"
    )


def _board_client() -> Check:
    from intarsia.boards import environment

    try:
        return Check("board client", State.OK, str(environment.find()))
    except IntarsiaError as error:
        return Check("board client", State.MISSING, f"{error}. Without it: intarsia verify DIR --board none")


def _vendor_tool(name: str) -> Check:
    path = shutil.which(name)
    if path:
        return Check(name, State.OK, path)
    return Check(
        name, State.OPTIONAL, "not found; needed only for synthesis and the bitstream, not for verification"
    )

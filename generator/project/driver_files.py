"""The driver as it goes into a project: one file that a user imports or runs, and the folder of its parts."""

from __future__ import annotations

from importlib.resources import files

from ..board import Family
from ..rendering import render

FOLDER = "deploy/intarsia_driver"


def driver_files(name: str, family: Family, generated: str) -> dict[str, bytes]:
    """Content of the files, by path in the project.

    The parts are the same in every project: a copy of intarsia.boards.driver, under a name of its own, because it is
    imported beside whatever else a board runs.

    Args:
        name: the design.
        family: what it is for.
        generated: the line that says what made the files.
    """
    context = {"design": name, "family": family, "generated": generated}
    parts = {
        f"{FOLDER}/{part.name}": part.read_bytes()
        for part in files("intarsia.boards.driver").iterdir()
        if part.name.endswith(".py")
    }
    return {
        "deploy/accelerator.py": render("accelerator.py.j2", context).encode(),
        **dict(sorted(parts.items())),
    }

"""What verification reads of a project directory, beside the worlds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intarsia.errors import IntarsiaError


class ProjectError(IntarsiaError):
    """The directory is not a project that can be verified."""


def require_project(project: Path) -> None:
    """Refuse a directory that compile did not write.

    Raises:
        ProjectError: a file is missing.
    """
    for needed in ("design.json", "golden.npz", "deploy/manifest.json"):
        if not (project / needed).is_file():
            raise ProjectError(
                f"{project} is no project of intarsia: it has no {needed}. Make it with `intarsia compile`"
            )


def design_json(project: Path) -> dict[str, Any]:
    """The content of design.json.

    Raises:
        ProjectError: the directory is no project, or the file is damaged.
    """
    require_project(project)
    return read_json(project / "design.json")


def changed_files(project: Path) -> list[str]:
    """Remarks on files that differ from those that compile wrote, by the manifest's hashes."""
    manifest = read_json(project / "deploy" / "manifest.json")
    host = {f"deploy/{part['file']}": part["sha256"] for part in manifest.get("host", {}).values()}
    hashes: Mapping[str, str] = manifest.get("sha256", {}) | host
    remarks = []
    for name, wanted in sorted(hashes.items()):
        path = project / name
        if not path.is_file():
            remarks.append(f"{name} is missing, though the manifest lists it")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            remarks.append(f"{name} was changed after compilation: its SHA-256 is not the manifest's")
    return remarks


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        ProjectError: the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} is damaged: {error}. Compile the project again") from error
    if not isinstance(content, dict):
        raise ProjectError(f"{path} is damaged: it holds no object. Compile the project again")
    return content

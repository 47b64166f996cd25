"""Places that commands write to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import IntarsiaError


def require_writable(output: Path, option: str = "-o") -> None:
    """Refuse before the work an output whose folder cannot be written to."""
    parent = next(folder for folder in output.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        why = "is no directory" if not parent.is_dir() else "cannot be written to"
        raise IntarsiaError(f"cannot make {output}: {parent} {why}. Choose another place with {option}")


def require_free(output: Path, force: bool) -> None:
    """Refuse before the work what Design.write would refuse after it."""
    require_writable(output)
    if not output.exists() or (force and (output / "design.json").is_file()):
        return
    if force:
        raise IntarsiaError(
            f"{output} exists and is not a project of intarsia: choose another directory with -o"
        )
    raise IntarsiaError(
        f"{output} exists already: choose another directory, or replace a project with --force"
    )


def write_text(path: Path, text: str) -> None:
    """Write a file, and the folders above it; after a failure, what was there before is still there."""
    path = path.resolve()  # behind a link, not the link
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.is_file():
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        else:  # a pipe, /dev/stdout
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise IntarsiaError(f"cannot write {path}: {error.strerror}") from error

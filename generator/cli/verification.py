"""A run of the verifier as `verify` and `demo` show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .exit_codes import COULD_NOT_RUN, DIVERGED
from .output_paths import require_writable, write_text

if TYPE_CHECKING:
    from intarsia.verify import Report


def verify_project(
    directory: Path,
    inputs: Path | None,
    board: str,
    samples: int | None = None,
    json_file: Path | None = None,
    junit: Path | None = None,
    html: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Run the verifier, print its table and write its files; where these cannot be written, nothing is run."""
    from rich.console import Console

    from intarsia import verify as verifier

    from ..terminal import progress_bars

    for option, path in (("--json", json_file), ("--junit", junit), ("--html", html)):
        if path and not path.exists():
            require_writable(path, option)
    with progress_bars() as progress:
        report = verifier.run(
            directory, inputs, board=board, samples=samples, progress=progress, **(options or {})
        )
    report.print(Console())
    if json_file:
        write_text(json_file, json.dumps(report.to_json(), indent=2) + "\n")
    if junit:
        write_text(junit, report.to_junit())
    if html:
        write_text(html, report.to_html())
    return report


def exit_by(report: Report) -> None:
    """Exit with the code of a report that has not passed."""
    if not report.passed:
        raise typer.Exit(DIVERGED if report.first_divergence else COULD_NOT_RUN)

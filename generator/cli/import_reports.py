"""`intarsia import-reports`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import IntarsiaError
from .output_paths import write_text

_WIDEST = 400
"""Columns of tables that a terminal may break but that are never cut."""


def import_reports(
    directory: Annotated[
        Path, typer.Argument(help="Where reports of Vitis HLS or Vivado are, at any depth.")
    ],
    design: Annotated[
        Path | None,
        typer.Option(help="The project they are of; if not given, the one that the directory is in, if any."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(help="Write measured costs here; measured_costs.json in the project if not given."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON.")] = None,
) -> None:
    """Read vendor reports, show them beside the estimates, and write what the next `compile` should take."""
    from rich.console import Console

    from ..cost_file import write_costs
    from ..vendor_reports import read_reports
    from ..vendor_reports.comparison import compare
    from ..vendor_reports.expectation import project_of, read_expectation
    from ..vendor_reports.show import comparison_tables, implementation_lines, report_tables, to_json

    reports = read_reports(directory)
    project = design or project_of(directory)
    if costs and not project:
        raise IntarsiaError("--costs needs the project that the reports are of: give it with --design")
    expectation = read_expectation(project) if project else None
    comparison = compare(expectation, reports) if expectation and reports.syntheses else None
    if costs and not comparison:
        raise IntarsiaError(
            f"--costs needs a csynth.xml, and {directory} has none: run `make hls` in the project"
        )
    console = Console(soft_wrap=True, width=_WIDEST)
    for item in report_tables(reports):
        console.print(item, highlight=False)
    if expectation:
        for line in implementation_lines(expectation, reports):
            console.print(line, highlight=False)
    if json_file:
        write_text(json_file, json.dumps(to_json(reports, comparison), indent=2, default=str) + "\n")
    if not (project and comparison):
        return
    for item in comparison_tables(comparison):
        console.print(item, highlight=False)
    path = costs or project / "measured_costs.json"
    write_costs(comparison.measured, path)
    typer.echo(f"Written to {path}. Next: intarsia compile MODEL --measured-costs {path} ...")

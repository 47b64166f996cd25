"""For test suites: a failed verification as a readable assertion."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from .report import Report


def assert_agrees(report: Report) -> None:
    """Raise AssertionError, with the table and the first divergence, unless the report passed."""
    if report.passed:
        return
    text = StringIO()
    report.print(Console(file=text, width=140, no_color=True))
    raise AssertionError(f"{report.verdict}\n\n{text.getvalue()}")

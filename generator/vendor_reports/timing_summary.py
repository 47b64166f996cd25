"""The text of Vivado's `report_timing_summary`: slack of the whole design, and its clocks (UG906, "Timing Summary")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .header import header_value
from .report_error import ReportError

_TITLE = "Design Timing Summary"
_COLUMNS = ("WNS(ns)", "TNS(ns)", "WHS(ns)", "THS(ns)")
_CLOCK = re.compile(r"^\s*(\S+)\s+\{([\d. ]+)\}\s+([\d.]+)\s+([\d.]+)\s*$")


@dataclass(frozen=True)
class TimingSummary:
    """Worst and total slack in ns for setup and for hold, None where nothing is constrained; period in ns per clock."""

    path: Path
    design: str
    device: str
    worst_setup: float | None
    total_setup: float | None
    worst_hold: float | None
    total_hold: float | None
    clocks: dict[str, float]

    @property
    def met(self) -> bool:
        """True if no constrained path fails, and some path is constrained."""
        return self.worst_setup is not None and self.worst_setup >= 0 and (self.worst_hold or 0) >= 0


def is_timing_summary(text: str) -> bool:
    """True if the text of a file is a timing summary."""
    return _TITLE in text and _COLUMNS[0] in text


def read_timing_summary(path: Path, text: str) -> TimingSummary:
    """Reads the table of the whole design, and the clocks.

    Raises:
        ReportError: the table is not as Vivado writes it.
    """
    lines = text[text.index(_TITLE) :].splitlines()
    head = next((index for index, line in enumerate(lines) if _COLUMNS[0] in line), len(lines))
    names = re.split(r"\s{2,}", lines[head].strip()) if head < len(lines) else []
    row = next((line.split() for line in lines[head + 1 :] if line.strip() and set(line) - set("- ")), [])
    if len(row) != len(names) or not set(_COLUMNS) <= set(names):
        raise ReportError(f"{path}: the table {_TITLE!r} is not as report_timing_summary writes it")
    setup, setup_total, hold, hold_total = (_slack(path, row[names.index(name)]) for name in _COLUMNS)
    return TimingSummary(
        path=path,
        design=header_value(text, "Design"),
        device=header_value(text, "Device"),
        worst_setup=setup,
        total_setup=setup_total,
        worst_hold=hold,
        total_hold=hold_total,
        clocks={found[1]: float(found[3]) for line in lines if (found := _CLOCK.match(line))},
    )


def _slack(path: Path, text: str) -> float | None:
    try:
        return None if text in ("NA", "inf") else float(text)
    except ValueError:
        raise ReportError(f"{path}: slack must be a number, not {text!r}") from None

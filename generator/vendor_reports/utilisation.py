"""The text of Vivado's `report_utilization`: what a placed (or synthesised) design takes of the device.

Tables have the columns Site Type, Used, Fixed, Prohibited (from 2020.3), Available and Util% (UG906, "Report
Utilization"). Names end with a star where a footnote explains them; the names of LUTs and registers differ by family.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..board import Resources
from .header import header_value
from .report_error import ReportError

_ROWS = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "ff": ("CLB Registers", "Slice Registers", "Registers"),
    "bram18": ("Block RAM Tile",),
    "uram": ("URAM",),
    "dsp": ("DSPs", "DSP Slices"),
}


@dataclass(frozen=True)
class Utilisation:
    """What a design takes, and what the device holds; a block-RAM tile counts as two BRAM18."""

    path: Path
    design: str
    device: str
    state: str
    used: Resources
    available: Resources


def is_utilisation(text: str) -> bool:
    """True if the text of a file is a utilisation report."""
    return "report_utilization" in text and "Site Type" in text


def read_utilisation(path: Path, text: str) -> Utilisation:
    """Reads the rows of LUTs, registers, block RAM, UltraRAM and DSPs.

    Raises:
        ReportError: one of them is missing (UltraRAM may be: not every device has it).
    """
    rows: dict[str, tuple[float, float]] = {}
    columns: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0] == "Site Type":
            columns = cells
        elif len(cells) == len(columns) and {"Used", "Available"} <= set(columns):
            used, available = cells[columns.index("Used")], cells[columns.index("Available")]
            if available:
                rows.setdefault(cells[0].rstrip("*"), (_number(path, used), _number(path, available)))
    used_figures, available_figures = {}, {}
    for resource, names in _ROWS.items():
        found = next((rows[name] for name in names if name in rows), None)
        if found is None and resource != "uram":
            raise ReportError(
                f"{path}: no row {' or '.join(map(repr, names))}. Is this report_utilization's text?"
            )
        factor = 2 if resource == "bram18" else 1
        used_figures[resource], available_figures[resource] = (int(factor * v) for v in found or (0, 0))
    return Utilisation(
        path=path,
        design=header_value(text, "Design"),
        device=header_value(text, "Device"),
        state=header_value(text, "Design State"),
        used=Resources(**used_figures),
        available=Resources(**available_figures),
    )


def _number(path: Path, text: str) -> float:
    try:
        return float(text.lstrip("<"))
    except ValueError:
        raise ReportError(f"{path}: {text!r} is no number") from None

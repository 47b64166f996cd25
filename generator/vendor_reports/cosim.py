"""<top>_cosim.rpt: cycles that the RTL took in co-simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .csynth import count
from .report_error import ReportError

_TITLE = "Latency(Clock Cycles)"


@dataclass(frozen=True)
class CosimReport:
    """Cycles of the calls of the top function: least, mean and most; None where the tool gives none.

    `total` is all calls together; `interval` has values from two calls on.
    """

    path: Path
    top: str
    language: str
    status: str
    latency: tuple[int | None, int | None, int | None]
    interval: tuple[int | None, int | None, int | None]
    total: int | None

    @property
    def passed(self) -> bool:
        """True if the RTL gave what the testbench expects."""
        return self.status.lower() == "pass"


def is_cosim(text: str) -> bool:
    """True if the text of a file is a co-simulation report."""
    return _TITLE in text and "RTL" in text


def read_cosim(path: Path, text: str) -> CosimReport:
    """Reads the row of the language that was simulated.

    Raises:
        ReportError: no language was, or the table is not as Vitis HLS writes it.
    """
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines()]
    rows = [row for row in rows if row[0] in ("Verilog", "VHDL")]
    run = [row for row in rows if row[1] not in ("NA", "")]
    if not rows or any(len(row) not in (8, 9) for row in rows):
        raise ReportError(f"{path}: no table of latencies. Is this the <top>_cosim.rpt of Vitis HLS?")
    if not run:
        raise ReportError(f"{path}: no RTL was simulated (status NA). Run `make cosim` in the project first")
    language, status, *figures = run[0]
    cycles = [count(figure) for figure in figures]
    return CosimReport(
        path=path,
        top=path.name.removesuffix("_cosim.rpt").rsplit("__", 1)[-1],
        language=language,
        status=status,
        latency=(cycles[0], cycles[1], cycles[2]),
        interval=(cycles[3], cycles[4], cycles[5]),
        total=cycles[6] if len(cycles) > 6 else None,
    )

"""Finds the vendor reports in a directory: by what is in the files, wherever the tools put them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cosim import CosimReport, is_cosim, read_cosim
from .csynth import SynthesisReport, is_csynth, read_csynth
from .report_error import ReportError
from .timing_summary import TimingSummary, is_timing_summary, read_timing_summary
from .utilisation import Utilisation, is_utilisation, read_utilisation


@dataclass(frozen=True)
class VendorReports:
    """All reports of a directory, by kind, each in the order of their paths.

    `functions` are csynth reports of single functions: csynth.xml of the same run says the same.
    """

    directory: Path
    syntheses: tuple[SynthesisReport, ...]
    functions: tuple[SynthesisReport, ...]
    cosims: tuple[CosimReport, ...]
    utilisations: tuple[Utilisation, ...]
    timings: tuple[TimingSummary, ...]

    def synthesis_of(self, top: str) -> SynthesisReport:
        """The one complete synthesis report of a top function.

        Raises:
            ReportError: there is none, or more than one.
        """
        found = [report for report in self.syntheses if report.top == top]
        if len(found) == 1:
            return found[0]
        if found:
            paths = ", ".join(str(report.path) for report in found)
            raise ReportError(
                f"{self.directory} holds {len(found)} synthesis reports of {top!r}: {paths}. "
                "Give the directory of one of them"
            )
        tops = ", ".join(sorted({repr(report.top) for report in self.syntheses})) or "no design"
        raise ReportError(
            f"{self.directory} has no csynth.xml of {top!r}, but of {tops}. Run `make hls` in the project, and give "
            "its vitis/component directory (a <function>_csynth.xml describes one function only)"
        )


def read_reports(directory: Path) -> VendorReports:
    """Reads every vendor report below a directory.

    Raises:
        ReportError: there is no such directory, no report in it, or one of them is damaged.
    """
    if not directory.is_dir():
        why = "is no directory" if directory.exists() else "does not exist"
        raise ReportError(f"{directory} {why}: give the directory with the reports of Vitis HLS or Vivado")
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    named = [
        path for path in files if path.name.endswith("csynth.xml")
    ]  # also when damaged: then the user is told
    syntheses = [read_csynth(path) for path in files if path in named or is_csynth(path)]
    cosims, utilisations, timings = [], [], []
    for path in files:
        if path.suffix not in (".rpt", ".txt"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if is_cosim(text):
            cosims.append(read_cosim(path, text))
        if is_utilisation(text):
            utilisations.append(read_utilisation(path, text))
        if is_timing_summary(text):
            timings.append(read_timing_summary(path, text))
    if not (syntheses or cosims or utilisations or timings):
        raise ReportError(
            f"{directory} holds no vendor report among {len(files)} files. Wanted: csynth.xml and <top>_cosim.rpt of Vitis "
            "HLS, or the text of Vivado's report_utilization and report_timing_summary (.rpt)"
        )
    return VendorReports(
        directory=directory,
        syntheses=tuple(report for report in syntheses if report.complete),
        functions=tuple(report for report in syntheses if not report.complete),
        cosims=tuple(cosims),
        utilisations=tuple(utilisations),
        timings=tuple(timings),
    )

"""Vendor reports and their comparison with a design, as tables for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from ..board import Resources
from .comparison import Comparison, PartComparison
from .csynth import Module, SynthesisReport
from .expectation import Expectation
from .find import VendorReports

_COLUMNS = {"dsp": "DSP", "bram18": "BRAM18", "uram": "URAM", "lut": "LUT", "ff": "FF"}


def report_tables(reports: VendorReports) -> Iterator[Table | str]:
    """What the reports say, one after the other."""
    for synthesis in reports.syntheses or reports.functions:
        yield _synthesis_table(synthesis)
    for cosim in reports.cosims:
        least, mean, most = map(_number, cosim.latency)
        yield (
            f"co-simulation {cosim.top}: {cosim.language} {cosim.status}, latency {least} / {mean} / {most} cycles "
            f"(least / mean / most), {_number(cosim.total)} in all ({cosim.path})"
        )
    for used in reports.utilisations:
        figures = ", ".join(
            f"{title} {getattr(used.used, name):,}/{getattr(used.available, name):,}"
            for name, title in _COLUMNS.items()
        )
        yield f"utilisation {used.design} ({used.state or 'state unknown'}, {used.device}): {figures} ({used.path})"
    for timing in reports.timings:
        verdict = "met" if timing.met else "NOT MET"
        clocks = ", ".join(f"{name} {period:g} ns" for name, period in timing.clocks.items())
        yield (
            f"timing {timing.design} {verdict}: worst slack {_number(timing.worst_setup)} ns setup, "
            f"{_number(timing.worst_hold)} ns hold; clocks {clocks or 'unknown'} ({timing.path})"
        )


def comparison_tables(comparison: Comparison) -> Iterator[Table | str]:
    """Estimate against report: processes, parts, cycles and clock."""
    table = Table("process", "kernel", "depth", "reported", "II", "reported", box=None, pad_edge=False)
    for process in comparison.processes:
        assumed, found = process.expected.pipeline, process.reported
        table.add_row(
            process.expected.config,
            process.expected.kernel,
            str(assumed.depth),
            _number(found.depth if found else None),
            str(assumed.interval),
            _number(found.interval if found else None),
        )
    yield table
    yield _parts_table(comparison.parts)
    if comparison.missing:
        yield f"not in the report, so left as they were: {', '.join(comparison.missing)}"
    if comparison.cosim and (cycles := comparison.cosim.latency[0]):
        error = comparison.expectation.cycles / cycles - 1
        yield f"latency: {comparison.expectation.cycles:,} cycles estimated, {cycles:,} co-simulated ({error:+.1%})"
    synthesis = comparison.synthesis
    if synthesis.whole.clock_ns is not None:
        room = synthesis.target_ns - synthesis.uncertainty_ns
        verdict = "met" if synthesis.whole.clock_ns <= room else "NOT MET: compile with a lower --clock-mhz"
        yield f"clock: {synthesis.whole.clock_ns:g} ns estimated by Vitis HLS, {room:g} ns wanted ({verdict})"


def implementation_lines(expectation: Expectation, reports: VendorReports) -> Iterator[str]:
    """Estimate of the whole design against what Vivado placed, which has the interconnect as well."""
    for used in reports.utilisations:
        pairs = ", ".join(
            f"{title} {getattr(expectation.resources, name):,} -> {getattr(used.used, name):,}"
            for name, title in _COLUMNS.items()
        )
        yield f"estimate -> Vivado's {used.design} with its interconnect: {pairs}"


def to_json(reports: VendorReports, comparison: Comparison | None) -> dict[str, Any]:
    """The same as data."""
    return {
        "directory": str(reports.directory),
        "synthesis": [_synthesis_json(report) for report in reports.syntheses],
        "functions": [_synthesis_json(report) for report in reports.functions],
        "cosimulation": [asdict(report) | {"path": str(report.path)} for report in reports.cosims],
        "utilisation": [asdict(report) | {"path": str(report.path)} for report in reports.utilisations],
        "timing": [
            asdict(report) | {"path": str(report.path), "met": report.met} for report in reports.timings
        ],
        "comparison": _comparison_json(comparison) if comparison else None,
    }


def _synthesis_json(report: SynthesisReport) -> dict[str, Any]:
    return asdict(report) | {"path": str(report.path)}


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    measured = comparison.measured
    return {
        "design": comparison.expectation.name,
        "cycles": {
            "estimate": comparison.expectation.cycles,
            "cosimulation": comparison.cosim.latency[0] if comparison.cosim else None,
        },
        "processes": [
            {
                "config": process.expected.config,
                "kernel": process.expected.kernel,
                "estimate": asdict(process.expected.pipeline),
                "report": asdict(process.reported) if process.reported else None,
            }
            for process in comparison.processes
        ],
        "parts": [
            {
                "name": part.expected.name,
                "kind": part.expected.kind,
                "tasks": list(part.expected.tasks),
                "estimate": asdict(part.expected.resources),
                "report": asdict(part.reported),
            }
            for part in comparison.parts
        ],
        "factors": {kind: dict(factors) for kind, factors in measured.costs.factors.items()},
    }


def _synthesis_table(report: SynthesisReport) -> Table:
    title = (
        f"{report.top} on {report.part}, Vitis HLS {report.version}: {_number(report.whole.worst_latency)} cycles, "
        f"{_number(report.whole.clock_ns)} ns of {report.target_ns:g} ns ({report.path})"
    )
    columns = ("function", "latency", "interval", "loops (trips, II, depth)", *_COLUMNS.values())
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for module in report.modules:
        table.add_row(
            module.name,
            _number(module.worst_latency),
            _number(module.interval),
            _loops(module),
            *(f"{getattr(module.resources, name):,}" for name in _COLUMNS),
        )
    return table


def _loops(module: Module) -> str:
    pipelines = [loop for nest in module.loops for loop in nest.pipelines()]
    return ", ".join(f"{_number(loop.trip_count)} x {loop.interval} + {loop.depth}" for loop in pipelines)


def _parts_table(parts: Sequence[PartComparison]) -> Table:
    """Estimate -> report, per part and in all."""
    table = Table("unit", "tasks", *_COLUMNS.values(), box=None, pad_edge=False)
    for part in parts:
        table.add_row(
            part.expected.name,
            ", ".join(part.expected.tasks),
            *_pairs(part.expected.resources, part.reported),
        )
    return table


def _pairs(estimate: Resources, report: Resources) -> list[str]:
    return [f"{getattr(estimate, name):,} -> {getattr(report, name):,}" for name in _COLUMNS]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,}"

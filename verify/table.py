"""The report on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from .accuracy import Accuracy
from .compare import Comparison
from .edge import Edge, Verdict
from .layer import EdgeResult, Layer

if TYPE_CHECKING:
    from .report import Report

FIGURES = ("layer", "op", "shape", "SQNR", "max LSB", "mism%", "sat%")
"""Headings of `figures`."""
UNLIMITED = 10_000
"""Columns of a terminal that any table fits."""
SHORT_EDGES = {
    Edge.COMPRESSION: "compr",
    Edge.QUANTISATION: "quant",
    Edge.LOWERING: "lower",
    Edge.MAPPING: "map",
    Edge.DEPLOYMENT: "deploy",
}
SHORT_VERDICTS = {Verdict.INHERITED: "inherit", Verdict.UNOBSERVED: "-"}
STYLES = {
    Verdict.PASS: "green",
    Verdict.WARN: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.INHERITED: "red",
    Verdict.GIVEN: "dim",
    Verdict.UNOBSERVED: "dim",
}


@dataclass(frozen=True)
class Form:
    """How much room a table takes."""

    words: bool = True
    """Edges and verdicts unabridged."""
    gap: int = 2
    """Spaces between columns."""
    op: bool = True
    """Operators, which the names of layers mostly say as well."""


FORMS = (Form(), Form(words=False), Form(words=False, gap=1), Form(words=False, gap=1, op=False))
"""From the widest; a table takes the first that fits. In the last one, names that are still too long are folded."""


def print_report(report: Report, console: Console) -> None:
    """One row per layer, accuracy and notes, and the verdict as the last line."""
    unlimited = console.options.update(max_width=UNLIMITED)
    tables = [_table(report, form) for form in FORMS]
    fitting = (
        table for table in tables if Measurement.get(console, unlimited, table).maximum <= console.width
    )
    console.print(next(fitting, tables[-1]))
    console.print()
    chain = " -> ".join(report.worlds.values())
    console.print(escape(f"Worlds: {chain}; {report.counts}"), highlight=False, soft_wrap=True)
    if text := accuracy_text(report):
        console.print(escape(text), highlight=False, soft_wrap=True)
    for note in report.notes:
        console.print(f"Note: {escape(note)}", style="yellow", highlight=False, soft_wrap=True)
    for divergence in report.divergences[1:]:
        console.print(escape(f"Also: {divergence}"), style="red", highlight=False, soft_wrap=True)
    style = "bold green" if report.passed else "bold red"
    console.print(escape(report.verdict), style=style, highlight=False, soft_wrap=True)


def _table(report: Report, form: Form) -> Table:
    """One row per layer. Only names are ever folded."""
    left_out = set() if form.op else {"op"}
    if not form.words and not any(layer.mismatch_percent for layer in report.layers):
        left_out.add("mism%")
    shown = [place for place, heading in enumerate(FIGURES) if heading not in left_out]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, form.gap - 1), header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    for heading in (FIGURES[place] for place in shown):
        words = heading in ("layer", "op", "shape")
        table.add_column(
            heading if form.words else heading.removeprefix("max "),
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=heading != "layer",
        )
    for edge in report.edges:
        table.add_column(str(edge) if form.words else SHORT_EDGES[edge], overflow="fold", no_wrap=True)
    for number, layer in enumerate(report.layers):
        found = figures(layer)
        cells = [_cell(result, form.words) for result in layer.edges.values()]
        table.add_row(str(number), *(escape(found[place]) for place in shown), *cells)
    return table


def figures(layer: Layer) -> tuple[str, ...]:
    """Layer, op, shape, SQNR, max LSB, mismatches and saturation as text."""
    return (
        layer.name,
        layer.op,
        "x".join(map(str, layer.tensor.shape[1:])) or "1",
        f"{layer.fidelity.sqnr_db:.1f}" if layer.fidelity else "-",
        "-" if layer.max_lsb is None else str(layer.max_lsb),
        "-" if layer.mismatch_percent is None else percent(layer.mismatch_percent),
        percent(layer.saturation.percent) if layer.saturation.elements else "-",
    )


def percent(share: float) -> str:
    """A percentage that says 0 only if it is zero."""
    return "0" if share == 0 else "<0.01" if share < 0.01 else f"{share:.2f}"


def accuracy_text(report: Report) -> str:
    """Accuracy per world; empty if there were no labels."""
    lines = [_accuracy(accuracy) for accuracy in (report.accuracy, report.top5) if accuracy is not None]
    return (
        f"Accuracy on {report.accuracy.samples} labelled samples: {'; '.join(lines)}"
        if report.accuracy
        else ""
    )


def _accuracy(accuracy: Accuracy) -> str:
    worlds = (
        ("dense", accuracy.dense),
        ("float", accuracy.float_model),
        ("quantised", accuracy.quantised),
        ("accelerator", accuracy.accelerator),
    )
    shares = [
        f"{name} {100 * (accuracy.share(right) or 0):.2f}%" for name, right in worlds if right is not None
    ]
    return f"{accuracy.metric} {', '.join(shares)}"


def verdict_text(edge: Edge, result: EdgeResult, comparison: Comparison | None) -> str:
    """The verdict with its reason in a few words."""
    if edge.statistical or comparison is None or not result.verdict.bad:
        return result.reason or str(result.verdict)
    if comparison.problem:
        return f"{result.verdict}: {comparison.problem}"
    count = f"{comparison.mismatches} of {comparison.elements} elements differ"
    return f"{result.verdict}: {count}, max {comparison.max_lsb} LSB, mean {comparison.mean_lsb:+.3f} LSB"


def _cell(result: EdgeResult, words: bool) -> str:
    text = str(result.verdict) if words else SHORT_VERDICTS.get(result.verdict, str(result.verdict))
    return f"[{STYLES[result.verdict]}]{text}[/]"

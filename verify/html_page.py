"""The report as one self-contained HTML page: no network, no scripts, light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intarsia.fixed_point import FixedPoint
from intarsia.rendering import render_page

from .accuracy import TOP_1
from .compare import BUCKETS, OCTAVES, Comparison, malformed
from .edge import Edge, Verdict
from .feature_map import MAX_CHANNELS, difference_picture, picture
from .findings import Evidence
from .layer import EdgeResult, Layer
from .metrics import LIMIT_DB
from .png import data_uri
from .runner import Array
from .table import accuracy_text, percent, verdict_text

if TYPE_CHECKING:
    from .report import Report

NOTHING, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", " \N{MULTIPLICATION SIGN} "
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SYMBOLS = {
    Verdict.PASS: "✓",
    Verdict.WARN: "!",
    Verdict.FAIL: "✗",
    Verdict.INHERITED: "↓",
    Verdict.GIVEN: NOTHING,
    Verdict.UNOBSERVED: NOTHING,
}
FULL_BAR_DB = 60.0
BAR_HEIGHT = 46


@dataclass(frozen=True)
class Cell:
    """A coloured box: the verdict's class, and what it says."""

    style: str
    symbol: str
    text: str
    detail: str


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram, in pixels."""

    x: int
    y: int
    height: int
    style: str
    title: str


@dataclass(frozen=True)
class Histogram:
    """Differences in LSB at one edge; bars on a logarithmic scale."""

    title: str
    caption: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Picture:
    """One feature map as an image."""

    title: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Row:
    """One layer, ready to be shown."""

    number: int
    layer: Layer
    shape: str
    format: str
    sqnr: str
    sqnr_width: float
    isolated_sqnr: str
    cosine: str
    max_lsb: str
    saturation: str
    saturation_width: float
    cells: tuple[Cell, ...]
    histograms: tuple[Histogram, ...]
    pictures: tuple[Picture, ...]
    differences: tuple[str, ...]
    culprit: bool


def render(report: Report) -> str:
    """The page."""
    culprits = {divergence.layer for divergence in report.divergences}
    return render_page(
        "verify_report.html.j2",
        report=report,
        state="pass" if report.passed else "fail" if report.divergences else "warn",
        badge="passed" if report.passed else "diverges" if report.divergences else "not verified",
        chain=[(name, _edges_into(report, number)) for number, name in enumerate(report.worlds.values())],
        edges=[
            (str(edge), " → ".join(report.worlds[end] for end in ends)) for edge, ends in report.edges.items()
        ],
        anchors={layer.name: f"layer{number}" for number, layer in enumerate(report.layers)},
        figures=_figures(report),
        accuracy=accuracy_text(report),
        evidence=report.evidence.sample if report.evidence else "",
        rows=[
            _row(report, number, layer, layer.name in culprits) for number, layer in enumerate(report.layers)
        ],
        max_channels=MAX_CHANNELS,
        full_bar_db=f"{FULL_BAR_DB:g}",
    )


def _edges_into(report: Report, number: int) -> Cell | None:
    """What the edge before the world of that number says; None for the first world."""
    world = list(report.worlds)[number]
    edge = next((edge for edge, ends in report.edges.items() if ends[1] is world), None)
    if edge is None:
        return None
    counts = report.counts_of(edge)
    bad = sum(count for verdict, count in counts.items() if verdict.bad)
    failed = bad or any(divergence.edge is edge for divergence in report.divergences)
    seen = len(report.layers) - counts.get(Verdict.UNOBSERVED, 0) - counts.get(Verdict.GIVEN, 0)
    if failed:
        verdict, text = Verdict.FAIL, f"{bad} of {seen} differ"
    elif edge in report.unobserved or not seen:
        verdict, text = Verdict.UNOBSERVED, "not observed"
    elif warned := counts.get(Verdict.WARN, 0):
        verdict = Verdict.WARN
        text = f"{warned} weak" if edge.statistical else f"{warned} of {seen} within bounds"
    elif edge.statistical:
        verdict, text = Verdict.PASS, "within budget"
    else:
        verdict, text = Verdict.PASS, f"{seen} of {seen} equal"
    return Cell(_style(verdict), SYMBOLS[verdict], text, str(edge))


def _figures(report: Report) -> list[tuple[str, str]]:
    """Headline numbers: (value, what it is)."""
    elements = sum(comparison.elements for layer in report.layers for comparison in layer.exact)
    mismatches = sum(comparison.mismatches for layer in report.layers for comparison in layer.exact)
    figures = [
        (f"{report.samples:,}", "samples"),
        (f"{report.stress:,}", "stress vectors"),
        (f"{elements:,}", "integers compared"),
        (f"{mismatches:,}", "mismatches"),
    ]
    outputs = [layer for layer in report.layers if layer.fidelity]
    if outputs and outputs[-1].fidelity:
        figures.append((_decibels(outputs[-1].fidelity.sqnr_db), f"SQNR of {outputs[-1].name}"))
    if report.accuracy:
        metric = "accuracy" if report.accuracy.metric == TOP_1 else report.accuracy.metric
        for name, right in (
            ("float", report.accuracy.float_model),
            ("quantised", report.accuracy.quantised),
            ("accelerator", report.accuracy.accelerator),
        ):
            if right is not None:
                share = report.accuracy.share(right) or 0.0
                figures.append((f"{100 * share:.2f}%", f"{metric}, {name}"))
    return figures


def _row(report: Report, number: int, layer: Layer, culprit: bool) -> Row:
    fidelity = layer.fidelity
    return Row(
        number=number,
        layer=layer,
        shape=TIMES.join(map(str, layer.tensor.shape[1:])) or "1",
        format=_format(layer.tensor.number),
        sqnr=_decibels(fidelity.sqnr_db) if fidelity else NOTHING,
        sqnr_width=100 * max(0.0, min(1.0, fidelity.sqnr_db / FULL_BAR_DB)) if fidelity else 0.0,
        isolated_sqnr=_decibels(layer.isolated_fidelity.sqnr_db) if layer.isolated_fidelity else NOTHING,
        cosine=f"{fidelity.cosine:.5f}" if fidelity else NOTHING,
        max_lsb=NOTHING if layer.max_lsb is None else str(layer.max_lsb),
        saturation=f"{percent(layer.saturation.percent)}%" if layer.saturation.elements else NOTHING,
        saturation_width=min(100.0, layer.saturation.percent),
        cells=tuple(_cell(edge, result) for edge, result in layer.edges.items()),
        histograms=tuple(
            _histogram(report, edge, result.cumulative)
            for edge, result in layer.edges.items()
            if result.cumulative is not None
            and not result.cumulative.problem
            and (edge.statistical or not result.cumulative.equal)
        ),
        pictures=_pictures(report, layer, 2 if culprit else 1),
        differences=_differences(layer),
        culprit=culprit,
    )


def _format(number: FixedPoint) -> str:
    """A number format with the exponent set as one, int8 · 2⁻⁶, or with its scale and zero point."""
    if number.mantissa != 1 or number.zero:
        return f"int{number.bits} · {number.scale:.4g}, zero {number.zero}"
    kind, _, power = str(number).partition(" * 2^")
    return f"{kind} · 2{power.translate(SUPERSCRIPT)}"


def _decibels(value: float) -> str:
    return "no noise" if value >= LIMIT_DB else f"{value:.1f} dB"


def _style(verdict: Verdict) -> str:
    return {Verdict.UNOBSERVED: "none", Verdict.GIVEN: "none"}.get(verdict, str(verdict))


_SHARES = {Verdict.FAIL: "{}%", Verdict.INHERITED: "{}% inherited", Verdict.WARN: "{}% in bounds"}
"""What a cell of an exact edge says of the share of elements that differ."""


def _cell(edge: Edge, result: EdgeResult) -> Cell:
    text = str(result.verdict)
    if not edge.statistical and result.verdict is Verdict.PASS:
        text = "equal"
    elif not edge.statistical and result.cumulative and result.verdict in _SHARES:
        text = _SHARES[result.verdict].format(percent(100 - result.cumulative.similarity))
    return Cell(
        _style(result.verdict), SYMBOLS[result.verdict], text, verdict_text(edge, result, result.cumulative)
    )


def _histogram(report: Report, edge: Edge, comparison: Comparison) -> Histogram:
    tallest = max(*comparison.histogram, 1)
    bars = []
    for place, (bucket, count) in enumerate(zip(BUCKETS, comparison.histogram, strict=True)):
        height = max(1, round(BAR_HEIGHT * math.log1p(count) / math.log1p(tallest))) if count else 0
        style = "equal" if bucket == 0 else "noise" if edge.statistical else "off"
        bars.append(Bar(place * 11, BAR_HEIGHT - height, height, style, f"{_bucket(bucket)} LSB: {count:,}"))
    expected, got = (report.worlds[end] for end in report.edges[edge])
    caption = f"{comparison.similarity:.2f}% equal, max {comparison.max_lsb} LSB, mean {comparison.mean_lsb:+.3f} LSB"
    return Histogram(f"{got} {MINUS} {expected}", caption, tuple(bars))


def _bucket(bucket: int) -> str:
    if bucket == 0:
        return "0"
    low = 1 << (abs(bucket) - 1)
    sign = "+" if bucket > 0 else MINUS
    if abs(bucket) == OCTAVES:
        return f"{sign}{low} and beyond"
    return f"{sign}{low}" if low == 1 else f"{sign}{low} to {sign}{2 * low - 1}"


def _differences(layer: Layer) -> tuple[str, ...]:
    """The first and the worst element of each exact edge where the layer differs."""
    lines = []
    for edge, result in layer.edges.items():
        if edge.statistical or result.cumulative is None:
            continue
        for what, one in (("first", result.cumulative.first), ("worst", result.cumulative.worst)):
            if one is not None:
                index = ", ".join(map(str, one.index))
                lines.append(
                    f"{edge}, {what}: [{index}] of sample {one.sample}, {one.expected} became {one.got}"
                )
    return tuple(lines)


def _pictures(report: Report, layer: Layer, enlarged: int) -> tuple[Picture, ...]:
    """Both worlds and their difference, if the sample on record shows the tensor."""
    evidence: Evidence | None = report.evidence
    if evidence is None:
        return ()
    tensor = layer.tensor
    shown: Mapping[str, Array] = {
        title: trace[tensor.name]
        for title, trace in ((evidence.expected_name, evidence.expected), (evidence.got_name, evidence.got))
        if tensor.name in trace and not malformed(trace[tensor.name], tensor.shape)
    }
    limit = max((int(np.abs(raw).max()) for raw in shown.values()), default=0)
    images = {title: picture(tensor, raw, limit) for title, raw in shown.items()}
    if len(shown) == 2:
        images["difference"] = difference_picture(tensor, *shown.values())
    pictures = []
    for title, pixels in images.items():
        height, width = pixels.shape[:2]
        zoom = max(
            1.0, min(8.0, enlarged * 680 // width / 2, enlarged * 320 // height / 2)
        )  # by halves: three fit side by side
        pictures.append(Picture(title, data_uri(pixels), int(width * zoom), int(height * zoom)))
    return tuple(pictures)

"""front.svg: the points of each board as a picture without scripts: time against DSPs, and against accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from ..report.svg import element, picture, text, titled
from .front import Point, Standing
from .words import board_name, micro, title

WIDTH, PANEL, HEIGHT = 1180.0, 530.0, 300.0
LEFT, TOP, BETWEEN = 58.0, 44.0, 64.0
COLOURS = ("#3b74d9", "#e08a1e", "#2a9d74", "#c8496b", "#7a5bd0", "#2b9fb8")
"""By numeric choice, in the order of the grid."""

STYLE = """svg.explore { --ink: #1c2230; --faint: #667085; --rule: #d5dae3; --back: #fff; background: var(--back);
  font: 12px system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg.explore { --ink: #e6e9f0; --faint: #98a2b5; --rule: #3a4456; --back: #161b26; } }
.explore text { fill: var(--ink); } .explore text.dim { fill: var(--faint); font-size: 11px; }
.explore .rule { stroke: var(--rule); fill: none; } .explore .back { fill: var(--back); }
.explore .front { stroke: var(--ink); stroke-width: 1.3; } .explore .step { stroke: var(--faint); fill: none; stroke-dasharray: 4 3; }"""


@dataclass(frozen=True)
class Axis:
    """Values to pixels, along a panel's width or height; logarithmic where it spans more than a factor of four."""

    name: str
    low: float
    high: float
    first: float
    last: float
    log: bool
    show: Callable[[float], str]

    def at(self, value: float) -> float:
        """Pixel of a value."""
        low, high, here = (log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.first + (here - low) / ((high - low) or 1) * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Round values within the range."""
        if self.log:
            decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            values = [m * 10.0**d for d in decades for m in (1, 2, 5)]
        else:
            step = 10 ** floor(log10((self.high - self.low) or 1))
            step = next(s for s in (step / 5, step / 2, step, 2 * step) if (self.high - self.low) / s <= 7)
            values = [step * k for k in range(floor(self.low / step), ceil(self.high / step) + 1)]
        return [value for value in values if self.low <= value <= self.high]


def scatter(points: Sequence[Point], standing: Mapping[int, Standing]) -> str:
    """The picture: a row of two panels for each board; points of the front have a rim and a number."""
    feasible = [point for point in points if point.number in standing]
    boards = list(dict.fromkeys(point.choice.board for point in feasible))
    labels = list(dict.fromkeys(point.choice.numeric.label for point in points))
    colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    rows = [
        _row(index, board, [p for p in feasible if p.choice.board == board], standing, colours)
        for index, board in enumerate(boards)
    ]
    height = TOP + len(boards) * (HEIGHT + BETWEEN)
    return picture("".join([_legend(colours), *rows]), WIDTH, height, "Design space", STYLE, "explore")


def _legend(colours: Mapping[str, str]) -> str:
    parts, x = [], LEFT
    for label, colour in colours.items():
        parts += [element("circle", cx=x, cy=16, r=5, fill=colour), text(label, x + 10, 20)]
        x += 26 + 7 * len(label)
    for kind in ("mixed", "dataflow", "sequential"):
        parts += [_mark(kind, x, 16, "#98a2b3", ""), text(kind, x + 10, 20)]
        x += 26 + 7 * len(kind)
    return "".join([*parts, text("rim and number: on the front", x + 6, 20, class_="dim")])


def _row(
    index: int,
    board: str,
    points: Sequence[Point],
    standing: Mapping[int, Standing],
    colours: Mapping[str, str],
) -> str:
    top = TOP + index * (HEIGHT + BETWEEN)
    parts = [text(board_name(board), LEFT, top + 8, font_weight="bold")]
    times = [point.merits[0] for point in points]
    accurate = all(p.quality and p.quality.accuracy is not None for p in points)
    panels: tuple[tuple[str, Callable[[Point], float], Callable[[float], str]], ...] = (
        ("DSPs", lambda p: p.merits[2], lambda v: f"{v:,.0f}"),
        (
            "accuracy" if accurate else "signal-to-noise ratio",
            lambda p: -p.merits[-1],
            lambda v: f"{v:.1%}" if accurate else f"{v:.0f} dB",
        ),
    )
    for panel, (name, value, show) in enumerate(panels):
        left = LEFT + panel * (PANEL + LEFT)
        x = _axis("time per sample", times, left, left + PANEL, micro)
        y = _axis(name, [value(p) for p in points], top + HEIGHT, top + 24, show)
        parts += [_frame(x, y), *_marks(points, value, x, y, standing, colours)]
    return "".join(parts)


def _axis(
    name: str, values: Sequence[float], first: float, last: float, show: Callable[[float], str]
) -> Axis:
    low, high = min(values), max(values)
    if low > 0 and high / low > 4:
        return Axis(name, low / 1.15, high * 1.15, first, last, True, show)
    margin = (high - low) * 0.06 or abs(high) * 0.05 or 1
    return Axis(name, low - margin, high + margin, first, last, False, show)


def _frame(x: Axis, y: Axis) -> str:
    parts = [element("path", d=f"M{x.first:.1f} {y.last:.1f}V{y.first:.1f}H{x.last:.1f}", class_="rule")]
    end = -1e9
    for value in x.ticks():
        here = x.at(value)
        if here - end > 56:
            parts.append(text(x.show(value), here, y.first + 16, class_="dim", text_anchor="middle"))
            end = here
        parts.append(element("path", d=f"M{here:.1f} {y.first:.1f}v4", class_="rule"))
    for value in y.ticks():
        here = y.at(value)
        parts.append(element("path", d=f"M{x.first:.1f} {here:.1f}H{x.last:.1f}", class_="rule", opacity=0.5))
        parts.append(text(y.show(value), x.first - 6, here + 4, class_="dim", text_anchor="end"))
    parts.append(text(x.name, x.last, y.first + 32, class_="dim", text_anchor="end"))
    parts.append(text(y.name, x.first + 6, y.last - 4, class_="dim"))
    return "".join(parts)


def _marks(
    points: Sequence[Point],
    value: Callable[[Point], float],
    x: Axis,
    y: Axis,
    standing: Mapping[int, Standing],
    colours: Mapping[str, str],
) -> list[str]:
    """Points of the front last, so that they lie on top; a number where no other is near."""
    parts: list[str] = []
    numbered: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: standing[p.number].on_front):
        front = standing[point.number].on_front
        here, there = x.at(point.merits[0]), y.at(value(point))
        mark = _mark(
            point.choice.schedule, here, there, colours[point.choice.numeric.label], "front" if front else ""
        )
        label = ""
        if front and all(abs(here - a) > 26 or abs(there - b) > 12 for a, b in numbered):
            numbered.append((here, there))
            label = text(f"#{point.number}", here + 7, there - 6, class_="dim")
        parts.append(
            titled(mark + label, f"#{point.number}: {title(point.choice)}, {micro(point.merits[0])}")
        )
    return parts


def _mark(schedule: str, x: float, y: float, colour: str, style: str) -> str:
    """Circle, square or triangle, by schedule."""
    look = {"fill": colour, "class_": style, "fill_opacity": 1 if style else 0.45}
    if schedule == "mixed":
        return element("circle", cx=x, cy=y, r=4.5, **look)
    if schedule == "dataflow":
        return element("rect", x=x - 4, y=y - 4, width=8, height=8, **look)
    return element("path", d=f"M{x:.1f} {y - 5:.1f}l5 9h-10z", **look)

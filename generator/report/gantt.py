"""The schedule as a picture: a lane for every unit, cycles from left to right, a bar for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .activity import Activity, PhaseActivity
from .svg import CHARACTER, COLOURS, Scale, axis, element, fitted, picture, text, titled

HEAD = 46
LANE = 40
BAR = 20


def gantt(
    phases: Sequence[PhaseActivity], lanes: Mapping[str, float], tasks: Sequence[str], style: str = ""
) -> str:
    """The picture.

    Args:
        phases: in time order.
        lanes: by unit, from top to bottom: its busy share of all cycles.
        tasks: names of all tasks, in the order of their colours.
        style: CSS, for a picture that stands alone.
    """
    scale = Scale(sum(phase.cycles for phase in phases))
    height = HEAD + LANE * len(lanes)
    parts = [_lane(number, unit, busy, scale) for number, (unit, busy) in enumerate(lanes.items())]
    rows = {unit: HEAD + LANE * number for number, unit in enumerate(lanes)}
    colours = {task: f"c{number % COLOURS}" for number, task in enumerate(tasks)}
    start = 0
    for number, phase in enumerate(phases):
        bars = [_bar(activity, start, rows[activity.unit], colours, scale) for activity in phase.activities]
        parts += [_head(number, phase, start, height, scale), *bars]
        start += phase.cycles
    parts += [
        axis(scale, height + 2),
        text("busy", scale.width - 4, HEAD - 10, class_="dim", text_anchor="end"),
    ]
    label = f"Schedule: {len(phases)} phases, {start:,} cycles"
    return picture("".join(parts), scale.width, height + 26, label, style)


def _lane(number: int, unit: str, busy: float, scale: Scale) -> str:
    y = HEAD + LANE * number
    middle = y + LANE / 2 + 8
    return (
        (
            element("rect", x=0, y=y, width=scale.width, height=LANE, class_="stripe")
            if number % 2 == 0
            else ""
        )
        + text(fitted(unit, scale.left - 12), 8, middle, class_="unit")
        + text(f"{busy:.0%}", scale.width - 4, middle, class_="unit", text_anchor="end")
    )


def _head(number: int, phase: PhaseActivity, start: int, height: float, scale: Scale) -> str:
    """Pattern, number and cycles of a phase, and the line that ends it."""
    x, width = scale.x(start), scale.length(phase.cycles)
    long = f"{number} {phase.pattern}"
    name = long if len(long) * CHARACTER < width - 6 else str(number) if width > 14 else ""
    cycles = f"{phase.cycles:,}"
    below = f"{cycles} cycles" if (len(cycles) + 7) * CHARACTER < width - 6 else cycles
    below = below if len(below) * CHARACTER < width - 2 else ""
    what = f"phase {number}, {phase.pattern}: {', '.join(phase.tasks)}\n{phase.cycles:,} cycles, "
    return titled(
        element("rect", x=x + 0.5, y=2, width=max(width - 1, 0.5), height=18, rx=3, class_=phase.pattern)
        + text(name, x + width / 2, 15, class_="pattern", text_anchor="middle")
        + text(below, x + width / 2, 36, class_="dim", text_anchor="middle")
        + element("path", d=f"M{x + width:.1f} 2V{height}", class_="rule"),
        f"{what}{phase.utilisation:.1%} of the multipliers' cycles used",
    )


def _bar(activity: Activity, start: int, y: float, colours: Mapping[str, str], scale: Scale) -> str:
    """A light bar for the time, filled from below as far as it is work, under its name."""
    x = scale.x(start + activity.start)
    width = max(scale.length(activity.end - activity.start), 1.5)
    top = y + LANE - BAR - 3
    filled = max(BAR * activity.busy, 0.5)
    colour = colours.get(activity.task, "moves")
    return titled(
        element("rect", x=x, y=top, width=width, height=BAR, rx=2, class_=f"span {colour}")
        + element("rect", x=x, y=top + BAR - filled, width=width, height=filled, class_=f"work {colour}")
        + text(fitted(activity.task or activity.about, width - 3), x + 1, top - 4, class_="label"),
        f"{activity.about} on {activity.unit}\ncycles {start + activity.start:,} to {start + activity.end:,}: "
        f"{activity.end - activity.start:,}, {activity.busy:.1%} busy",
    )

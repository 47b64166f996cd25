"""report.html: the compiled design as one self-contained page, with no network and no scripts, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..machine.wiring import COLLECT
from ..rendering import render_page
from ..schedule.bounds import lower_bounds
from .activity import PhaseActivity
from .charts import baselines_bars, resources_bars, traffic_bars
from .fifo_table import FifoRow, fifo_rows
from .gantt import gantt
from .memory_map import memory_map, memory_picture
from .svg import COLOURS

if TYPE_CHECKING:
    from ..design import Design

TIMES, NOTHING = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"

BOUND = {
    "mac": "multiplications",
    "window": "patches of the window",
    "fetch": "reading",
    "collect": "writing",
    "post": "rounding of sums",
    "pool": "pooling",
    "combine": "element by element",
    "norm_moments": "sums over rows",
    "softmax_maximum": "maximum of rows",
}
"""By kernel: what its trips are spent on."""

LEGEND_TIMED = (
    "One lane per unit, one bar per task, from its first to its last word in the timed C-simulation. The solid part of a bar is "
    "work: multiplications of all the engine's multipliers, or trips of any other unit; the light part is waiting. "
    "On the right, the busy share of all cycles."
)
LEGEND_MODEL = (
    "One lane per unit, one bar per task, by the cost model: bars start with their phase and last as long as the task would take "
    "if nobody made it wait. Compile with FIFO sizing for times from the C-simulation. The solid part of a bar is work."
)


@dataclass(frozen=True)
class PhaseRow:
    """A phase, ready to be shown."""

    pattern: str
    tasks: str
    cycles: str
    share: str
    lanes: str
    utilisation: str
    width: float
    bound: str
    detail: str


@dataclass(frozen=True)
class TaskRow:
    """A task, ready to be shown."""

    name: str
    op: str
    shape: str
    phase: str
    units: str
    macs: str
    cycles: str
    nodes: str


def report(design: Design, generated: str) -> str:
    """The page.

    Args:
        design: what was compiled.
        generated: the line that says what made the page.
    """
    about = design.description
    schedule = about["schedule"]
    tasks = [task.name for task in design.graph.tasks]
    memory = memory_map(design.graph, design.decision.chosen.schedule)
    fifos = fifo_rows(design.machine, design.timings)
    return render_page(
        "report.html.j2",
        about=about,
        board=design.board,
        clock=f"{design.clock_mhz:g}",
        cycles=f"{schedule['interval_cycles']:,}",
        verdict=_verdict(schedule),
        figures=_figures(design),
        gantt=schedule_picture(design),
        legend=_legend(design),
        memory=memory_picture(memory, design.phase_cycles, tasks),
        multipliers=f"{schedule['multipliers']:,}",
        phases=[
            _phase_row(phase, design.interval_cycles, fifos, number)
            for number, phase in enumerate(design.activities)
        ],
        charts=[
            ("Baselines", "the same board, one pattern only", list(baselines_bars(schedule))),
            ("Resources", "estimates before synthesis", list(resources_bars(design))),
            ("Off-chip traffic", "per sample", list(traffic_bars(design))),
        ],
        tasks=list(_tasks(design)),
        fifos=fifos,
        fifo_remark=_fifo_remark(fifos, design.timings is not None),
        colours=COLOURS,
        generated=generated,
    )


def schedule_picture(design: Design, *, alone: bool = False) -> str:
    """The schedule as SVG; with its own style if it stands alone."""
    phases = design.activities
    style = render_page("schedule.css.j2", colours=COLOURS) if alone else ""
    return gantt(phases, unit_shares(design), [task.name for task in design.graph.tasks], style)


def unit_shares(design: Design) -> dict[str, float]:
    """By unit in datapath order: the share of all cycles in which it does useful work."""
    cycles = max(sum(design.phase_cycles), 1)
    work: dict[str, float] = {}
    for phase in design.activities:
        for activity in phase.activities:
            done = activity.busy * (activity.end - activity.start)
            work[activity.unit] = work.get(activity.unit, 0.0) + done
    units = [unit.name for unit in design.decision.chosen.schedule.units]
    feeds = sorted(work.keys() - {*units, COLLECT})
    return {unit: work.get(unit, 0.0) / cycles for unit in (*feeds, *units, COLLECT)}


def _legend(design: Design) -> str:
    legend = LEGEND_TIMED if design.timings else LEGEND_MODEL
    batch = design.machine.batch
    if batch == 1:
        return legend
    return f"{legend} The picture is that of one sample alone; up to {batch} follow each other closely in each phase."


def _verdict(schedule: dict[str, Any]) -> str:
    phases = len(schedule["phases"])
    count = f"{phases} phase{'' if phases == 1 else 's'}"
    if schedule["batch"] > 1:
        count += f", launches of {schedule['batch']} samples"
    return f"{schedule['kind']} schedule, {count}; cycles counted by the {schedule['counted_by']}"


def _figures(design: Design) -> list[tuple[str, str]]:
    """Headline numbers: (value, what it is)."""
    about = design.description
    schedule = about["schedule"]
    cycles, bound = schedule["interval_cycles"], schedule["lower_bound_cycles"]
    seconds = cycles / design.clock_mhz / 1e6
    latency = schedule["latency_cycles"] / design.clock_mhz / 1e6
    alone = [(_time(latency), "for one sample alone")] if schedule["batch"] > 1 else []
    bounds = lower_bounds(design.graph, design.decision.chosen.schedule, design.board, design.clock_mhz)
    return [
        (f"{cycles:,}", "cycles per sample"),
        (_time(seconds), "time per sample"),
        *alone,
        (f"{1 / seconds:,.0f}", "samples per second"),
        (f"{about['macs']:,}", "MACs per sample"),
        (f"{schedule['multipliers']:,}", "multipliers (lanes)"),
        (f"{schedule['utilisation']:.1%}", "utilisation of all lanes"),
        (f"{bound:,}", f"lower bound: {max(bounds, key=lambda why: bounds[why])}"),
        (f"{cycles / bound:.2f} {TIMES}" if bound else NOTHING, "cycles over lower bound"),
    ]


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:,.1f} {unit}"
    return f"{seconds * 1e9:,.0f} ns"


def _phase_row(phase: PhaseActivity, total: int, fifos: tuple[FifoRow, ...], number: int) -> PhaseRow:
    bound = phase.bound_by
    share = bound.trips / phase.interval
    detail = [
        f"{bound.kernel} of {bound.unit} for {bound.about}: {bound.trips:,} trips, {share:.0%} of the cycles"
    ]
    full = max(fifos, key=lambda fifo: fifo.full_cycles(number), default=None)
    if full and full.full_cycles(number) > phase.cycles / 20:
        detail.append(f"longest back-pressure: {full.name}, {full.full_cycles(number):,} cycles")
    return PhaseRow(
        pattern=phase.pattern,
        tasks=", ".join(phase.tasks),
        cycles=f"{phase.interval:,}",
        share=f"{phase.interval / total:.0%} of all",
        lanes=f"{phase.in_use:,}",
        utilisation=f"{phase.utilisation:.1%}",
        width=round(100 * phase.utilisation, 1),
        bound=BOUND.get(bound.kernel, "moving words") if share >= 0.5 else "filling and draining",
        detail="; ".join(detail),
    )


def _tasks(design: Design) -> Iterator[TaskRow]:
    schedule = design.decision.chosen.schedule
    for task, entry in zip(design.graph.tasks, design.description["tasks"], strict=True):
        phases = schedule.phases_of(task.name)
        macs = task.operator.macs(task, design.graph)
        yield TaskRow(
            name=task.name,
            op=entry["op"],
            shape=f" {TIMES} ".join(map(str, entry["shape"][1:])),
            phase=", ".join(map(str, phases)),
            units=" + ".join(
                dict.fromkeys(
                    share.unit for phase in phases for share in schedule.phases[phase].shares(task.name)
                )
            ),
            macs=f"{macs:,}" if macs else NOTHING,
            cycles=f"{entry['cycles']:,}",
            nodes=", ".join(entry["onnx_nodes"]),
        )


def _fifo_remark(fifos: tuple[FifoRow, ...], timed: bool) -> str:
    words = sum(fifo.depth for fifo in fifos)
    how = "the smallest powers of two that cost no cycle" if timed else "not sized"
    return f"{len(fifos)}, {words:,} words deep in all; {how}"

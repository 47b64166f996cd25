"""The horizontal bars of the report: baselines, resources, off-chip traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..schedule.evaluate import USABLE

if TYPE_CHECKING:
    from ..design import Design

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Bar:
    """A horizontal bar; widths and marks in percent."""

    name: str
    width: float
    figure: str
    detail: str = ""
    style: str = ""
    title: str = ""
    mark: float = 0


def baselines_bars(schedule: dict[str, Any]) -> Iterator[Bar]:
    """The chosen schedule beside the bound and the pure ones; ratios compare cycles of the same counting."""
    chosen, bound = schedule["interval_cycles"], schedule["lower_bound_cycles"]
    known = {name: cycles for name, cycles in schedule["baselines"].items() if cycles is not None}
    longest = max(chosen, bound, *known.values())
    yield Bar("lower bound", 100 * bound / longest, f"{bound:,}", f"{bound / chosen:.2f} {TIMES}", "bound")
    name, by = f"chosen: {schedule['kind']}", schedule["counted_by"]
    yield Bar(name, 100 * chosen / longest, f"{chosen:,}", f"1 {TIMES}", title=by)
    for name, cycles in schedule["baselines"].items():
        if cycles is None:
            yield Bar(f"{name} only", 0, "impossible", "", "other")
        else:
            ratio = f"{cycles / schedule['model_cycles']:.2f} {TIMES}"
            width, by = 100 * cycles / longest, "cost model; ratio to the same"
            yield Bar(f"{name} only", width, f"{cycles:,}", ratio, "other", by)


def resources_bars(design: Design) -> Iterator[Bar]:
    """What the design needs of what the board has."""
    have = asdict(design.board.resources)
    for name, need in design.description["resources"].items():
        if have[name]:
            share, usable = need / have[name], USABLE[name]
            title = f"the mark is at {usable:.0%}: as much can be placed and routed"
            figure = f"{need:,} / {have[name]:,}"
            yield Bar(name.upper(), min(100 * share, 100), figure, f"{share:.0%}", "", title, 100 * usable)


def traffic_bars(design: Design) -> Iterator[Bar]:
    """What crosses the DRAM ports."""
    machine = design.machine
    total = max(design.description["off_chip_bytes"], 1)
    for name, places in (("inputs", machine.inputs), ("outputs", machine.outputs)):
        size = sum(place.words for place in places) * machine.word_bytes
        text = ", ".join(place.tensor for place in places)
        yield Bar(name, 100 * size / total, f"{size:,} bytes", "", title=text)
    seconds = design.interval_cycles / design.clock_mhz / 1e6
    used = total / seconds / 1e9
    peak = design.board.memory.bandwidth_gb_s
    when = "loaded on chip before the first sample"
    yield Bar("weights", 0, f"{len(machine.weights):,} bytes", "once", title=when)
    yield Bar("bandwidth", min(100 * used / peak, 100), f"{used:.2f} of {peak:g} GB/s", f"{used / peak:.1%}")

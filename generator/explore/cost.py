"""What a point costs: its schedule by the cost model, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ..board import Board, at_clock, part_of
from ..report.activity import utilisation
from ..schedule.bounds import lower_bound_cycles, multipliers, off_chip_bytes
from ..schedule.mixed import PhaseCosts
from ..schedule.search import decide
from ..task_graph import TaskGraph
from .choice import Choice


@dataclass(frozen=True)
class PhaseOf:
    """A phase of the schedule, as the page shows it."""

    pattern: str
    tasks: tuple[str, ...]
    cycles: int


@dataclass(frozen=True)
class Cost:
    """A scheduled point, by the cost model.

    Attributes:
        kind: of the schedule found; one engine in one phase can be of another kind than was asked for.
        phases: in time order.
        engines: output channels per pass of each engine.
        streamed: weights come from DRAM.
        clock_mhz: clock that times are for.
        cycles: latency of one sample.
        interval_cycles: cycles from one sample to the next.
        dsp: of the design, as are bram18, uram, lut and ff.
        off_chip_bytes: bytes that cross the DRAM ports per sample.
        multipliers: of all engines.
        utilisation: share of the multipliers' cycles that multiply for the result.
        lower_bound_cycles: what no schedule on as many multipliers can beat.
        baselines: cycles of the pure schedules on the same lanes and budget; None for what is impossible.
    """

    kind: str
    phases: tuple[PhaseOf, ...]
    engines: tuple[int, ...]
    streamed: bool
    clock_mhz: float
    cycles: int
    interval_cycles: int
    dsp: int
    bram18: int
    uram: int
    lut: int
    ff: int
    off_chip_bytes: int
    multipliers: int
    utilisation: float
    lower_bound_cycles: int
    baselines: dict[str, int | None]

    @property
    def latency_us(self) -> float:
        """Time of one sample, in microseconds."""
        return self.cycles / self.clock_mhz

    @property
    def interval_us(self) -> float:
        """Time from one sample to the next, in microseconds."""
        return self.interval_cycles / self.clock_mhz


def cost(graph: TaskGraph, choice: Choice, board: Board, costs: PhaseCosts) -> Cost:
    """Schedules a point.

    Args:
        graph: quantised task graph.
        choice: the point.
        board: the choice's board, whole and at its own clock.
        costs: of phases of the same graph, kept from point to point.

    Raises:
        ScheduleError: no schedule of that kind fits.
    """
    target = board if choice.clock_mhz is None else at_clock(board, choice.clock_mhz)
    decision = decide(graph, part_of(target, choice.budget), choice.schedule, (choice.lanes,), costs)
    chosen = decision.chosen
    schedule = chosen.schedule
    macs = sum(task.operator.macs(task, graph) for task in graph.tasks)
    return Cost(
        kind=schedule.kind,
        phases=tuple(
            PhaseOf(phase.pattern.value, phase.tasks, ceil(timing.cycles))
            for phase, timing in zip(schedule.phases, chosen.phases, strict=True)
        ),
        engines=tuple(unit.outputs for unit in schedule.units if unit.is_engine),
        streamed=schedule.streamed,
        clock_mhz=target.clock_mhz,
        cycles=chosen.cycles,
        interval_cycles=chosen.interval,
        dsp=chosen.resources.dsp,
        bram18=chosen.resources.bram18,
        uram=chosen.resources.uram,
        lut=chosen.resources.lut,
        ff=chosen.resources.ff,
        off_chip_bytes=off_chip_bytes(graph, schedule),
        multipliers=multipliers(schedule),
        utilisation=round(utilisation(macs, multipliers(schedule), chosen.cycles), 4),
        lower_bound_cycles=lower_bound_cycles(graph, schedule, target, target.clock_mhz),
        baselines=decision.baselines,
    )

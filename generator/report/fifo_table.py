"""What every FIFO does: its ends, its depth, how full it gets, and who waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..machine.machine import Machine

if TYPE_CHECKING:
    from ..simulation.timed import PhaseTiming

UNKNOWN = "\N{EN DASH}"


@dataclass(frozen=True)
class FifoRow:
    """A FIFO over all phases; `full` holds the cycles in which its writer waits, by phase."""

    name: str
    carries: str
    writer: str
    reader: str
    depth: int
    high_water: str
    reader_waits: str
    writer_waits: str
    full: tuple[int, ...]

    def full_cycles(self, phase: int) -> int:
        """Cycles of a phase in which the writer waits; 0 where that was not timed."""
        return self.full[phase] if self.full else 0


def fifo_rows(machine: Machine, timings: Sequence[PhaseTiming] | None) -> tuple[FifoRow, ...]:
    """All FIFOs, in datapath order."""
    ends: dict[str, list[str]] = {}
    for process in machine.processes:
        for argument in process.arguments:
            ends.setdefault(argument, []).append(process.config)
    rows = []
    for stream in machine.streams:
        uses = [timing.fifos[stream.name] for timing in timings or ()]
        writer, reader = ends[stream.name]  # processes are in datapath order
        rows.append(
            FifoRow(
                name=stream.name,
                carries=stream.carries,
                writer=writer,
                reader=reader,
                depth=stream.depth,
                high_water=f"{max(use.high_water for use in uses):,}" if uses else UNKNOWN,
                reader_waits=f"{sum(use.reader_waits for use in uses):,}" if uses else UNKNOWN,
                writer_waits=f"{sum(use.writer_waits for use in uses):,}" if uses else UNKNOWN,
                full=tuple(use.writer_waits for use in uses),
            )
        )
    return tuple(rows)

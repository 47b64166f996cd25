"""A schedule: which tasks run together, on which units. Pure data, made by the schedulers, read by the machine.

The hardware is a set of units built once; a phase says which task each of them runs. A task's result goes to its
consumers in the same phase by a link, and to memory for consumers in later phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from ..errors import IntarsiaError

BANKS = "banks"
"""In `Schedule.uram`: the banks of activations."""


def memory_name(unit: str, role: str) -> str:
    """What `Schedule.uram` calls a memory of a unit: its weights, which are most, by the unit's name alone."""
    return unit if role == "weights" else f"{unit} {role}"


class ScheduleError(IntarsiaError):
    """No schedule of the asked kind exists for this model and board."""


class Pattern(Enum):
    """How the tasks of a phase run."""

    SEQUENTIAL = "sequential"
    DATAFLOW = "dataflow"


class Weights(Enum):
    """Where engines have their weights from.

    RESIDENT: on chip, all of them. PREFETCHED: from DRAM, those of a phase while the phase before runs, into a second
    copy of the memory. LOADED: from DRAM, those of a phase before it starts.
    """

    RESIDENT = "resident"
    PREFETCHED = "prefetched"
    LOADED = "loaded"


@dataclass(frozen=True)
class Unit:
    """A unit of the datapath.

    Attributes:
        name: unique in a schedule.
        kind: name of its UnitKind (machine/units/kinds.py).
        outputs: of an engine, the output channels that it makes per pass, of `lanes` multipliers each; else 0.
        form: of an engine with circulant weights, how it multiplies them (machine/units/circulant_forms.py); the cheapest of
            its forms if empty.
        products: multipliers for products with weights that each lane of another unit has.
    """

    name: str
    kind: str
    outputs: int = 0
    form: str = ""
    products: int = 0

    @property
    def is_engine(self) -> bool:
        """True for units with multipliers, which phases share out."""
        return self.outputs > 0


@dataclass(frozen=True)
class Assignment:
    """A task on a unit, or a share of it: `words` is the range of output words of every pixel that the unit makes.

    Only engines share tasks. The shares of a task cover its words in order; units may make them side by side, or one unit
    in one phase after the other, so that the weights of a phase fit on chip.
    """

    task: str
    unit: str
    words: tuple[int, int] | None = None


@dataclass(frozen=True)
class Phase:
    """Tasks that run at the same time; assignments are in topological order."""

    pattern: Pattern
    assignments: tuple[Assignment, ...]

    @cached_property
    def shares_of(self) -> Mapping[str, tuple[Assignment, ...]]:
        """Task -> the units that make its result, in the order of their words; tasks in topological order."""
        found: dict[str, list[Assignment]] = {}
        for assignment in self.assignments:
            found.setdefault(assignment.task, []).append(assignment)
        return {
            task: tuple(sorted(shares, key=lambda share: share.words or (0, 0)))
            for task, shares in found.items()
        }

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the phase's tasks, in topological order."""
        return tuple(self.shares_of)

    def shares(self, task: str) -> tuple[Assignment, ...]:
        """The units that make a task's result, in the order of their words."""
        return self.shares_of[task]


@dataclass(frozen=True)
class Schedule:
    """Units in datapath order (links only lead from earlier to later units), and the phases in time order.

    `lanes` is the width of every word: elements per stream word, and multipliers per output of an engine. `weights`
    says where engines have their weights from, in DRAM words of `weight_bytes` if not 0, else of `lanes` elements. `uram`
    names what lies in UltraRAM instead of block RAM: memories of units (`memory_name`), and `BANKS`. `spilled` names
    tensors that wait in DRAM between phases, where the banks would be too large. `batch` is the samples that a launch
    takes at most: each phase runs for all of them, one close behind the other, before the next phase begins.
    """

    kind: str
    lanes: int
    units: tuple[Unit, ...]
    phases: tuple[Phase, ...]
    weights: Weights = Weights.RESIDENT
    weight_bytes: int = 0
    uram: tuple[str, ...] = ()
    spilled: tuple[str, ...] = ()
    batch: int = 1

    @cached_property
    def units_by_name(self) -> Mapping[str, Unit]:
        """Name -> unit."""
        return {unit.name: unit for unit in self.units}

    @property
    def streamed(self) -> bool:
        """True if weights come from DRAM, phase by phase."""
        return self.weights is not Weights.RESIDENT

    def unit(self, name: str) -> Unit:
        """The unit of that name."""
        return self.units_by_name[name]

    def phases_of(self, task: str) -> tuple[int, ...]:
        """Indices of the phases that run a task, or shares of it."""
        return tuple(index for index, phase in enumerate(self.phases) if task in phase.shares_of)

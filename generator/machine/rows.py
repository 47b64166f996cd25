"""Program rows: one per phase and process. Field by field the twins of the structs in hls_kernels/.

Here are those of the processes between the units; a unit's own stand with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Row:
    """Base of all rows. `struct` is the C++ type, `header` the kernel header that defines it."""

    struct: ClassVar[str]
    header: ClassVar[str]

    @property
    def argument(self) -> int | str | None:
        """What the C++ type is a template of, if it is one."""
        return None

    @property
    def type(self) -> str:
        """The C++ type, with what it is a template of."""
        return self.struct if self.argument is None else f"{self.struct}<{self.argument}>"

    @property
    def trips(self) -> int:
        """Iterations of the process in the phase."""
        return int(getattr(self, "iterations", getattr(self, "words", 0)))


@dataclass(frozen=True)
class TransferRow(Row):
    """memory.hpp: words to move between a stream and one of the memories a process is connected to.

    Runs of `run` words lie `stride` words apart; `run` = `words` is one piece. Those of the launch's next sample lie `step`
    words further on.
    """

    struct: ClassVar[str] = "transfer_row"
    header: ClassVar[str] = "memory.hpp"

    memory: int = 0
    offset: int = 0
    words: int = 0
    run: int = 0
    stride: int = 0
    step: int = 0


@dataclass(frozen=True)
class NestRow(Row):
    """nest.hpp: nested counters, innermost first, with the change of the address when each of them advances."""

    struct: ClassVar[str] = "nest_row"
    header: ClassVar[str] = "nest.hpp"

    start: int
    extents: tuple[int, ...]
    steps: tuple[int, ...]
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    @property
    def argument(self) -> int:
        """Counters."""
        return len(self.extents)


@dataclass(frozen=True)
class IrregularNestRow(Row):
    """nest.hpp: a nest of which some counters find their steps in a table, from entry `tables` on; the others have -1."""

    struct: ClassVar[str] = "irregular_nest_row"
    header: ClassVar[str] = "nest.hpp"

    counters: NestRow
    tables: tuple[int, ...]

    @property
    def argument(self) -> int:
        """Counters."""
        return self.counters.argument


@dataclass(frozen=True)
class ViewRow(Row):
    """memory.hpp: a transfer in one piece, or the words that a nest of counters walks over."""

    struct: ClassVar[str] = "view_row"
    header: ClassVar[str] = "memory.hpp"

    piece: TransferRow
    iterations: int
    nest: NestRow | IrregularNestRow

    @property
    def trips(self) -> int:
        """Of the loop that runs."""
        return self.iterations or self.piece.words

    @property
    def argument(self) -> str:
        """The kind of nest."""
        return self.nest.type


@dataclass(frozen=True)
class SwitchRow(Row):
    """route.hpp: words to pass, and the way they take: a mask of outputs, or the number of a tap."""

    struct: ClassVar[str] = "switch_row"
    header: ClassVar[str] = "route.hpp"

    words: int = 0
    way: int = 0


@dataclass(frozen=True)
class MergeRow(Row):
    """route.hpp: words to pass, and how many come from each input in turn."""

    struct: ClassVar[str] = "merge_row"
    header: ClassVar[str] = "route.hpp"

    words: int
    runs: tuple[int, ...]

    @property
    def argument(self) -> int:
        """Inputs."""
        return len(self.runs)


@dataclass(frozen=True)
class TapRow(Row):
    """tap.hpp: where a tapped result goes, and the units that make it."""

    struct: ClassVar[str] = "tap_row"
    header: ClassVar[str] = "tap.hpp"

    offset: int
    run: int
    stride: int
    source: MergeRow

    @property
    def argument(self) -> int:
        """Units that make tapped results."""
        return self.source.argument


@dataclass(frozen=True)
class PrefetchRow(Row):
    """load.hpp: the next phase's weights: where they begin, and how many entries go to each memory."""

    struct: ClassVar[str] = "prefetch_row"
    header: ClassVar[str] = "load.hpp"

    offset: int
    entries: tuple[int, ...]

    @property
    def argument(self) -> int:
        """Memories."""
        return len(self.entries)

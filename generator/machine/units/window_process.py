"""The window process in front of an engine, or of a depthwise or pool unit: its size over all tasks, and its line in the datapath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ...board import Resources
from ...work import DepthwiseWork, MacWork, PoolWork
from ..builder import CHAIN_DEPTH, Builder
from ..constants import INPUT, LANES, Constant
from ..identifiers import camel_case
from ..resources import NOTHING, bram18
from ..run import Run
from ..stage import Stage
from .window import PatchPlan, Way, WindowRow, plan_patches

_WAY_NAMES = {Way.STRAIGHT: "kStraight", Way.ROWS: "kRows", Way.PACKED: "kPacked"}


@dataclass(frozen=True)
class WindowProcess:
    """A window sized for several tasks: one packed geometry at most, and one line buffer for the others.

    Attributes:
        patches: plan of each task.
        packed_shape: kernel height, kernel width and channels of the packed way, or zeros.
    """

    patches: tuple[PatchPlan, ...]
    packed_shape: tuple[int, int, int]

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """Ways that occur."""
        return tuple(sorted({plan.way for plan in self.patches}))

    @property
    def straight(self) -> bool:
        """True if no task needs a window: patches are the words as they come."""
        return self.ways == (Way.STRAIGHT,)

    def place(self, builder: Builder, unit: str, runs: Sequence[Run], source: str) -> str:
        """Adds the process, if there is one; returns the stream of patches."""
        if self.straight:
            return source
        name = builder.ids[unit]
        patches = builder.stream(f"{name}_patches", "windows, word by word", depth=CHAIN_DEPTH)
        rows = [plan.row for plan in self.patches]
        struct = f"{camel_case(name)}Window"
        builder.unit_config(struct, "sliding window", runs, rows, WindowRow(), self._constants())
        builder.process("window", struct, source, patches)
        return patches

    def stage(self, index: int) -> list[Stage]:
        """The process as the cost model times it for one task; none where patches come straight."""
        plan = self.patches[index]
        if plan.way is Way.STRAIGHT:
            return [] if self.straight else [Stage.passing("window", plan.row.iterations)]
        return [Stage("window", plan.row.iterations, (plan.reads,), plan.writes)]

    def resources(self, lanes: int, element_bits: int) -> Resources:
        """Line buffers, registers and counters."""
        if self.straight:
            return NOTHING
        word = lanes * element_bits
        height, width, channels = self.packed_shape
        registers = 2 * height * width * channels * element_bits
        brams = bram18(word, self._lines * self._longest(Way.ROWS))
        brams += bram18(height * channels * element_bits, self._longest(Way.PACKED))
        return Resources(
            dsp=0, bram18=brams, uram=0, lut=800 + 2 * word + registers, ff=900 + 2 * word + registers
        )

    @property
    def _lines(self) -> int:
        return max(plan.lines for plan in self.patches)

    def _longest(self, way: Way) -> int:
        return max((plan.line_words for plan in self.patches if plan.way is way), default=0)

    def _constants(self) -> list[Constant]:
        constants = [
            Constant("kWays", " | ".join(_WAY_NAMES[way] for way in self.ways)),
            LANES,
            INPUT,
        ]
        if Way.ROWS in self.ways:
            constants += [
                Constant("kLines", str(self._lines), "rows kept"),
                Constant("kLineWords", str(self._longest(Way.ROWS)), "words of the longest row"),
            ]
        if Way.PACKED in self.ways:
            height, width, channels = self.packed_shape
            constants += [
                Constant("kPackedHeight", str(height)),
                Constant("kPackedWidth", str(width)),
                Constant("kPackedChannels", str(channels)),
                Constant("kPackedColumns", str(self._longest(Way.PACKED)), "columns of the padded image"),
            ]
        return constants


def size_window(
    works: Sequence[MacWork | DepthwiseWork | PoolWork],
    paddings: Sequence[int],
    lanes: int,
    paces: Sequence[int],
) -> WindowProcess:
    """The window of a unit: of the packed geometries, the one that saves most words is kept in registers.

    Args:
        works: geometry of each task.
        paddings: raw value of padded elements of each task.
        lanes: elements per word.
        paces: for each task, the cycles over which its words come from another unit; 0 if from memory.
    """
    plans = [plan_patches(work, lanes, padding) for work, padding in zip(works, paddings, strict=True)]
    saved: dict[tuple[int, int, int], int] = {}
    for work, plan in zip(works, plans, strict=True):
        if plan.way is Way.PACKED and work.window is not None:
            shape = _packed_shape(work)
            saved[shape] = saved.get(shape, 0) + work.pixels * (work.window.positions - plan.words)
    kept = max(saved, key=lambda shape: (saved[shape], shape), default=(0, 0, 0))
    pack = [
        plan.way is Way.PACKED and _packed_shape(work) == kept
        for work, plan in zip(works, plans, strict=True)
    ]
    plans = [
        plan_patches(work, lanes, padding, pack=packs)
        for work, padding, packs in zip(works, paddings, pack, strict=True)
    ]
    lines = max(plan.lines for plan in plans)
    plans = [
        plan_patches(work, lanes, padding, lines, pack=packs, pace=pace)
        for work, padding, packs, pace in zip(works, paddings, pack, paces, strict=True)
    ]
    return WindowProcess(tuple(plans), kept)


def _packed_shape(work: MacWork | DepthwiseWork | PoolWork) -> tuple[int, int, int]:
    assert work.window is not None
    return (*work.window.kernel, work.channels)

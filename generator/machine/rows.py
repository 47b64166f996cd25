"""Program rows: one per phase and process. Field by field the twins of the structs in hls_kernels/."""

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
    def trips(self) -> int:
        """Iterations of the process in the phase."""
        return int(getattr(self, "iterations", getattr(self, "words", 0)))


@dataclass(frozen=True)
class TransferRow(Row):
    """memory.hpp: words to move between a stream and one of the memories a process is connected to.

    Runs of `run` words lie `stride` words apart; `run` = `words` is one piece.
    """

    struct: ClassVar[str] = "transfer_row"
    header: ClassVar[str] = "memory.hpp"

    memory: int = 0
    offset: int = 0
    words: int = 0
    run: int = 0
    stride: int = 0


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
        return f"{self.nest.struct}<{self.nest.argument}>"


@dataclass(frozen=True)
class ConstantRow(Row):
    """constant.hpp: words of a constant tensor."""

    struct: ClassVar[str] = "constant_row"
    header: ClassVar[str] = "constant.hpp"

    words: int = 0
    first: int = 0


@dataclass(frozen=True)
class MoveRow(Row):
    """move.hpp: pieces of words, and where they come from."""

    struct: ClassVar[str] = "move_row"
    header: ClassVar[str] = "move.hpp"

    iterations: int
    pieces: int
    piece: int
    last: int
    fill: int
    spread: int
    low: int
    high: int
    source: NestRow | IrregularNestRow

    @property
    def argument(self) -> str:
        """The kind of nest."""
        return f"{self.source.struct}<{self.source.argument}>"


@dataclass(frozen=True)
class TransposeRow(Row):
    """transpose.hpp: strips of words, and where they come from."""

    struct: ClassVar[str] = "transpose_row"
    header: ClassVar[str] = "transpose.hpp"

    iterations: int
    strips: int
    depth: int
    width: int
    slot: int
    low: int
    high: int
    source: NestRow | IrregularNestRow

    @property
    def argument(self) -> str:
        """The kind of nest."""
        return f"{self.source.struct}<{self.source.argument}>"


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
class WindowRow(Row):
    """window.hpp: geometry of a sliding window and the trip count of its loop."""

    struct: ClassVar[str] = "window_row"
    header: ClassVar[str] = "window.hpp"

    way: int = 0
    iterations: int = 0
    height: int = 0
    width: int = 0
    groups: int = 0
    kernel_height: int = 0
    kernel_width: int = 0
    stride_y: int = 0
    stride_x: int = 0
    dilation_y: int = 0
    dilation_x: int = 0
    pad_top: int = 0
    pad_left: int = 0
    out_height: int = 0
    out_width: int = 0
    first_slot: int = 0
    lead: int = 0
    right: int = 0
    padding: int = 0


@dataclass(frozen=True)
class MacRow(Row):
    """mac.hpp: passes over patches of words; for computed operands, how they are loaded before."""

    struct: ClassVar[str] = "mac_row"
    header: ClassVar[str] = "mac.hpp"

    iterations: int = 0
    folds: int = 0
    words: int = 0
    weights: int = 0
    loads: int = 0
    skip: int = 0
    rows: int = 0
    last: int = 0
    pixels: int = 0


@dataclass(frozen=True)
class RowWindowRow(Row):
    """row_window.hpp: geometry of windows over rows of words."""

    struct: ClassVar[str] = "row_window_row"
    header: ClassVar[str] = "row_window.hpp"

    iterations: int = 0
    height: int = 0
    words: int = 0
    last: int = 0
    columns: int = 0
    pad_top: int = 0
    out_height: int = 0
    out_words: int = 0
    padding: int = 0


@dataclass(frozen=True)
class StencilRow(Row):
    """stencil.hpp: words of results, and whose weights."""

    struct: ClassVar[str] = "stencil_row"
    header: ClassVar[str] = "stencil.hpp"

    iterations: int = 0
    weights: int = 0


@dataclass(frozen=True)
class RowPoolRow(Row):
    """row_pool.hpp: words of results, and their clamp."""

    struct: ClassVar[str] = "row_pool_row"
    header: ClassVar[str] = "row_pool.hpp"

    iterations: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class DepthwiseRow(Row):
    """depthwise.hpp: every channel with a kernel of its own."""

    struct: ClassVar[str] = "depthwise_row"
    header: ClassVar[str] = "depthwise.hpp"

    iterations: int = 0
    words: int = 0
    steps: int = 0
    weights: int = 0


@dataclass(frozen=True)
class PostRow(Row):
    """post.hpp: bias, rounding and clamp of a task."""

    struct: ClassVar[str] = "post_row"
    header: ClassVar[str] = "post.hpp"

    iterations: int = 0
    steps: int = 0
    biases: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0
    zero: int = 0
    rounding: int = 0


@dataclass(frozen=True)
class PoolRow(Row):
    """pool.hpp: reduction over the positions of a window."""

    struct: ClassVar[str] = "pool_row"
    header: ClassVar[str] = "pool.hpp"

    iterations: int = 0
    positions: int = 0
    mean: bool = False
    left: int = 0
    divisor: int = 1
    reciprocal: int = 1
    shift: int = 0
    low: int = 0
    high: int = 0
    offset: int = 0
    zero: int = 0


@dataclass(frozen=True)
class CombineRow(Row):
    """combine.hpp: two operands, aligned, combined, rounded and clamped."""

    struct: ClassVar[str] = "combine_row"
    header: ClassVar[str] = "combine.hpp"

    words: int = 0
    kind: int = 0
    shift_a: int = 0
    shift_b: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0
    zero_a: int = 0
    zero_b: int = 0
    factor_a: int = 1
    factor_b: int = 1
    multiplier: int = 1
    zero: int = 0
    rounding: int = 0


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


@dataclass(frozen=True)
class TableRow(Row):
    """table.hpp: words to look up, and which table."""

    struct: ClassVar[str] = "table_row"
    header: ClassVar[str] = "table.hpp"

    words: int = 0
    first: int = 0
    mask: int = 0


@dataclass(frozen=True)
class InterpolateRow(Row):
    """interpolate.hpp: words to compute, and which sections and segments."""

    struct: ClassVar[str] = "interpolate_row"
    header: ClassVar[str] = "interpolate.hpp"

    words: int = 0
    mask: int = 0
    shift: int = 0
    section: int = 0
    segment: int = 0


@dataclass(frozen=True)
class SoftmaxMaximumRow(Row):
    """softmax.hpp: the geometry of rows, and of a causal mask."""

    struct: ClassVar[str] = "softmax_maximum_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    period: int = 0
    first: int = 0


@dataclass(frozen=True)
class SoftmaxExponentialRow(Row):
    """softmax.hpp: likewise, and which tables."""

    struct: ClassVar[str] = "softmax_exponential_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    period: int = 0
    first: int = 0
    log: bool = False
    fraction: int = 0
    fine: int = 0
    fine_mask: int = 0
    coarse: int = 0


@dataclass(frozen=True)
class SoftmaxFactorRow(Row):
    """softmax.hpp: reciprocals or logarithms of sums."""

    struct: ClassVar[str] = "softmax_factor_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    log: bool = False
    fraction: int = 0
    numerator: int = 0


@dataclass(frozen=True)
class SoftmaxScaleRow(Row):
    """softmax.hpp: the result, rounded and clamped."""

    struct: ClassVar[str] = "softmax_scale_row"
    header: ClassVar[str] = "softmax.hpp"

    iterations: int = 0
    words: int = 0
    log: bool = False
    left_difference: int = 0
    left_logarithm: int = 0
    shift: int = 0
    zero: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class NormMomentsRow(Row):
    """norm.hpp: sums over rows."""

    struct: ClassVar[str] = "norm_moments_row"
    header: ClassVar[str] = "norm.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    centre: bool = False


@dataclass(frozen=True)
class NormInverseRow(Row):
    """norm.hpp: the reciprocal root of a row's variance."""

    struct: ClassVar[str] = "norm_inverse_row"
    header: ClassVar[str] = "norm.hpp"

    iterations: int = 0
    channels: int = 0
    guard: int = 0
    epsilon: int = 0
    root_bits: int = 0
    shift: int = 0


@dataclass(frozen=True)
class NormScaleRow(Row):
    """norm.hpp: scaling, gamma and beta, rounding and clamp."""

    struct: ClassVar[str] = "norm_scale_row"
    header: ClassVar[str] = "norm.hpp"

    iterations: int = 0
    words: int = 0
    channels: int = 0
    entry: int = 0
    beta_shift: int = 0
    shift: int = 0
    zero: int = 0
    low: int = 0
    high: int = 0

"""Program rows: one per phase and process. Field by field the twins of the structs in hls_kernels/."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransferRow:
    """memory.hpp: words to move between a stream and one of the memories a process is connected to."""

    memory: int = 0
    offset: int = 0
    words: int = 0


@dataclass(frozen=True)
class SwitchRow:
    """route.hpp: words to pass, and the way they take: a mask of outputs, or the number of a tap."""

    words: int = 0
    way: int = 0


@dataclass(frozen=True)
class MergeRow:
    """route.hpp: words to pass, and how many come from each input in turn."""

    words: int
    runs: tuple[int, ...]


@dataclass(frozen=True)
class TapRow:
    """tap.hpp: where a tapped result goes, and the units that make it."""

    offset: int
    source: MergeRow


@dataclass(frozen=True)
class WindowRow:
    """window.hpp: geometry of a sliding window and the trip count of its loop."""

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
class MacRow:
    """mac.hpp: passes over patches of words."""

    iterations: int = 0
    folds: int = 0
    words: int = 0
    weights: int = 0


@dataclass(frozen=True)
class PostRow:
    """post.hpp: bias, rounding and clamp of a task."""

    iterations: int = 0
    steps: int = 0
    biases: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class PoolRow:
    """pool.hpp: reduction over the positions of a window."""

    iterations: int = 0
    positions: int = 0
    mean: bool = False
    divisor: int = 1
    reciprocal: int = 1
    shift: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class CombineRow:
    """combine.hpp: two operands, aligned, combined, rounded and clamped."""

    words: int = 0
    kind: int = 0
    shift_a: int = 0
    shift_b: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0


Row = TransferRow | SwitchRow | MergeRow | TapRow | WindowRow | MacRow | PostRow | PoolRow | CombineRow

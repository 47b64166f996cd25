"""What a task asks of the hardware: which kind of unit, and the geometry of its loops.

Operators describe their work; the scheduler costs it; lowering (machine/lower.py) turns it into program rows. A unit kind
is new hardware; a new operator that fits an existing kind needs only a new Work value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .nest import Nest


@dataclass(frozen=True)
class Window:
    """A sliding window over an image of height x width pixels; sizes in pixels, pads may differ per side."""

    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad_top: int = 0
    pad_left: int = 0
    out_height: int = 1
    out_width: int = 1

    @property
    def positions(self) -> int:
        """Kernel positions."""
        return self.kernel[0] * self.kernel[1]


@dataclass(frozen=True)
class MacWork:
    """Products summed over `window` positions and input channels, for each of `outputs` channels.

    Without a window, each output pixel consumes `in_pixels` consecutive input pixels whole: 1 for a matrix
    product by rows, all of them for a fully-connected layer on a flattened image.

    With `batches`, the weights are computed: they are the second operand, a matrix of `outputs` rows of `channels`
    for each of as many equal parts of the pixels.
    """

    pixels: int
    channels: int
    outputs: int
    window: Window | None = None
    in_pixels: int = 1
    batches: int = 0


@dataclass(frozen=True)
class StencilWork:
    """Products summed over `window` positions of an image of one channel, the elements of whose rows lie side by side."""

    window: Window


@dataclass(frozen=True)
class RowPoolWork:
    """The maximum over a window of an image of one channel, the elements of whose rows lie side by side."""

    window: Window


@dataclass(frozen=True)
class DepthwiseWork:
    """Products summed over `window` positions, for each channel by itself."""

    pixels: int
    channels: int
    window: Window


class Reduction(Enum):
    """How a pool unit combines the elements under its window."""

    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True)
class PoolWork:
    """Per-channel reduction over a window; the requantisation divides a SUM."""

    pixels: int
    channels: int
    window: Window
    reduction: Reduction


class Combination(Enum):
    """What a combine unit does with its two operands; values are the bits of hls_kernels/combine.hpp."""

    SUM = 1
    DIFFERENCE = 2
    PRODUCT = 4
    MAXIMUM = 8
    MINIMUM = 16


@dataclass(frozen=True)
class CombineWork:
    """Two tensors of one shape, element by element, after factors and left shifts that align their units."""

    pixels: int
    channels: int
    kind: Combination
    shifts: tuple[int, int] = (0, 0)
    factors: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class TableWork:
    """A function of single elements, as a table of its result for every raw input."""

    pixels: int
    channels: int


@dataclass(frozen=True)
class LinesWork:
    """A function of single elements, as straight lines between segments of its raw inputs."""

    pixels: int
    channels: int


@dataclass(frozen=True)
class ConstantWork:
    """A tensor that is the same for every sample."""

    pixels: int
    channels: int


@dataclass(frozen=True)
class MoveWork:
    """Every element of the result is one of the source, or zero.

    `nest` gives source indices in C order, for the result's elements in C order; the channels of both lie side by side
    in memory, whatever their axes.
    """

    pixels: int
    channels: int
    nest: Nest
    shape: tuple[int, ...]
    channel_axis: int
    source_shape: tuple[int, ...]
    source_axis: int


class TransposeWork(MoveWork):
    """A move that exchanges channels with pixels: a pixel of the result is one channel of several pixels of the source."""


@dataclass(frozen=True)
class RepeatWork:
    """Every pixel of an image of (height, width) `across` times side by side, and every row `down` times.

    `rows_in_words` if words hold the pixels of a row, and not channels.
    """

    pixels: int
    channels: int
    height: int
    width: int
    down: int
    across: int
    rows_in_words: bool


@dataclass(frozen=True)
class SoftmaxWork:
    """Softmax or LogSoftmax over the channels of every pixel."""

    pixels: int
    channels: int


@dataclass(frozen=True)
class NormWork:
    """Normalisation over the channels of every pixel, by mean and variance or by the mean square."""

    pixels: int
    channels: int


Work = (
    MacWork
    | StencilWork
    | DepthwiseWork
    | PoolWork
    | RowPoolWork
    | CombineWork
    | TableWork
    | LinesWork
    | ConstantWork
    | MoveWork
    | RepeatWork
    | SoftmaxWork
    | NormWork
)

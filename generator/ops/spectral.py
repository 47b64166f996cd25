"""Dense and Conv with circulant weights, computed by spectra in fixed point (circulant/fft.py): integers of their own.

They take the place of Dense and Conv after quantisation, where the user allows rounding (circulant/spectral.py). Their sums
differ from those of the expanded weights by at most the bound that range and error analysis give for the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..circulant.blocks import first_columns
from ..circulant.fft import GUARD, Precision, Widths, accumulate, widths
from ..fixed_point import Integers
from ..operator import Array, Operator
from .conv import Conv
from .dense import Dense
from .sliding import images, patches, samples_like

if TYPE_CHECKING:
    from ..task_graph import Tensor

TOLERANCE = "tolerance"
"""Parameter of one integer: LSB of the output by which rounding may change it, for the same input."""


class Spectral(Operator):
    """What both share: sums that are within a proven bound of those of the expanded weights."""

    block: int
    guard: int

    def widths(self, parameters: Mapping[str, Array], input_bound: int, source: Tensor) -> Widths:
        """Range and error analysis for inputs up to a magnitude."""
        raise NotImplementedError

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """That of the expanded weights, and the error."""
        exact = super().accumulator_bound(magnitudes, parameters, inputs)
        return exact + ceil(self.widths(parameters, magnitudes[0], inputs[0]).error)

    def tolerance(self, parameters: Mapping[str, Array]) -> int:
        """The proven bound."""
        return int(parameters[TOLERANCE][0])


@dataclass(frozen=True)
class SpectralDense(Spectral, Dense):
    """Dense, by spectra of blocks of `block` channels, which lie on `channel_axis` of the input.

    `guard` is circulant_fft.GUARD, or WIDE_GUARD for inputs of more than 8 bits.
    """

    block: int = 8
    guard: int = GUARD
    channel_axis: int = 1

    name: ClassVar[str] = "Dense (fft)"
    onnx_types: ClassVar[tuple[str, ...]] = ()

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Sums by spectra, rounded."""
        x = inputs[0]
        contracted = x.shape[self.axis + 1 :]
        rows = self._split(x.reshape(prod(x.shape[: self.axis + 1]), *contracted))
        weight = self._split(parameters["weight"].reshape(-1, *contracted))
        result = _sums(weight, rows, self.block, self.guard, parameters)
        return result.reshape(*x.shape[: self.axis + 1], len(weight)).astype(x.dtype, copy=False)

    def _split(self, values: Array) -> Array:
        """(number, *contracted axes) as (number, channels, positions)."""
        last = np.moveaxis(values, self.channel_axis - self.axis + 1, 1)
        return last.reshape(len(values), last.shape[1], -1)

    def widths(self, parameters: Mapping[str, Array], input_bound: int, source: Tensor) -> Widths:
        """Range and error analysis for inputs up to a magnitude."""
        weight = parameters["weight"].reshape(-1, *source.shape[self.axis :])
        return _widths(self._split(weight), self.block, input_bound, self.guard)


@dataclass(frozen=True)
class SpectralConv(Spectral, Conv):
    """Conv, by spectra of blocks of `block` channels; `guard` as above."""

    block: int = 8
    guard: int = GUARD

    name: ClassVar[str] = "Conv (fft)"
    onnx_types: ClassVar[tuple[str, ...]] = ()

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Sums by spectra, rounded."""
        x = inputs[0]
        columns = patches(images(x), self.kernel, self.stride, self.dilation, self.pads, fill=0)
        samples, channels, _, _, height, width = columns.shape
        rows = columns.transpose(0, 4, 5, 1, 2, 3).reshape(samples * height * width, channels, -1)
        weight = _by_channel(parameters["weight"])
        result = _sums(weight, rows, self.block, self.guard, parameters)
        maps = result.reshape(samples, height, width, len(weight)).transpose(0, 3, 1, 2)
        return samples_like(x, maps.astype(x.dtype, copy=False))

    def widths(self, parameters: Mapping[str, Array], input_bound: int, source: Tensor) -> Widths:
        """Range and error analysis for inputs up to a magnitude."""
        return _widths(_by_channel(parameters["weight"]), self.block, input_bound, self.guard)


def _by_channel(weight: Array) -> Array:
    return weight.reshape(*weight.shape[:2], -1)


def _widths(weight: Array, block: int, input_bound: int, guard: int) -> Widths:
    columns = first_columns(weight.astype(np.int64), block)
    assert columns is not None, "spectral tasks have circulant weights"
    return widths(columns, input_bound, Precision.of(block, guard))


def _sums(weight: Array, x: Array, block: int, guard: int, parameters: Mapping[str, Array]) -> Integers:
    """Sums for weights (outputs, channels, positions) and inputs (number, channels, positions), and the bias."""
    columns = first_columns(weight.astype(np.int64), block)
    assert columns is not None, "spectral tasks have circulant weights"
    padded = np.pad(x.astype(np.int64), ((0, 0), (0, -x.shape[1] % block), (0, 0)))
    result = accumulate(columns, padded, Precision.of(block, guard))[:, : len(weight)]
    return result + parameters["bias"].astype(np.int64) if "bias" in parameters else result

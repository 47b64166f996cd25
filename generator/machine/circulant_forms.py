"""The three ways to multiply by circulant blocks: what each costs, what it stores, and its C++ type.

All have the same cycles. They differ in multipliers, in their operands' widths, and so in DSPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ..circulant import expand, first_columns
from ..circulant_exact import additions, multiplications
from ..circulant_fft import Precision, Widths, products, spectra
from ..circulant_fft import multiplications as fft_multiplications
from ..fixed_point import Integers
from ..operator import Array
from .machine import Constant
from .pack import pack_weights
from .window import Way

DENSE, DIRECT, EXACT, FFT = "dense", "direct", "exact", "fft"

LUTS_OF_A_DSP = 100
"""What a DSP is worth in LUTs: about their ratio on the supported parts."""

_PORTS = (25, 18)
"""Bits of the operands of a DSP's multiplier, signed, that the DSPs of all boards have."""

_PAIR_LUTS = 25
"""What packs and parts two products of one DSP."""


_MOST_STEPS = 16


def dsps_of_product(one: int, other: int) -> int:
    """DSPs of a signed product: operands beyond a port are cut into parts, of which all but the top one lose the sign bit."""
    ways = ((one, other), (other, one))
    return min(_parts(a, _PORTS[0]) * _parts(b, _PORTS[1]) for a, b in ways)


def _parts(bits: int, port: int) -> int:
    return max(1, ceil((bits - 1) / (port - 1)))


@dataclass(frozen=True)
class CirculantForm:
    """Circulant blocks of `block` channels on a unit of `outputs` x `lanes` channels.

    Attributes:
        block: K.
        input_bits: of the activations.
        weight_bits: of the first columns.
    """

    block: int
    input_bits: int
    weight_bits: int

    name: ClassVar[str]

    @property
    def growth(self) -> int:
        """Bits by which sums of a block's elements grow."""
        return self.block.bit_length() - 1

    @property
    def stored_bits(self) -> int:
        """Bits of a stored weight."""
        return self.weight_bits

    def multipliers(self, outputs: int, lanes: int) -> int:
        """Multipliers of the array."""
        raise NotImplementedError

    def dsps(self, outputs: int, lanes: int) -> int:
        """DSPs of its multipliers."""
        raise NotImplementedError

    def luts(self, outputs: int, lanes: int) -> int:
        """Adders, a LUT for every bit of each."""
        raise NotImplementedError

    def operand_bits(self, lanes: int) -> int:
        """Bits of a word of the patch that the array keeps."""
        raise NotImplementedError

    @property
    def type(self) -> str:
        """Its C++ type."""
        raise NotImplementedError

    def stored(self, columns: Integers) -> Integers:
        """What is stored of first columns (block rows, block columns, K, positions): numbers of the same shape."""
        return columns

    def cost(self, outputs: int, lanes: int) -> int:
        """DSPs and LUTs, in LUTs."""
        return LUTS_OF_A_DSP * self.dsps(outputs, lanes) + self.luts(outputs, lanes)

    def blocks(self, outputs: int, lanes: int) -> tuple[int, int]:
        """Blocks of outputs, and of lanes."""
        return outputs // self.block, lanes // self.block

    def steps(self, outputs: int) -> int:
        """Parts of a pass's blocks that are turned back one after the other."""
        return 1

    def constants(self, outputs: int) -> tuple[Constant, ...]:
        """What the config of the array holds beyond that of mac."""
        return (
            Constant("kBlock", str(self.block), "channels of a circulant block"),
            Constant("kSteps", str(self.steps(outputs)), "parts of a pass that are turned back in turns"),
            Constant("form", self.type, is_type=True),
        )

    def pack(self, by_position: Array, way: Way, lanes: int, outputs: int) -> Integers:
        """Weight entries of a task: of every block its stored numbers.

        Args:
            by_position: (output channels, positions, input channels), raw.
            way: how the window orders a patch.
            lanes: elements per word.
            outputs: output channels per entry.
        """
        columns = first_columns(by_position.transpose(0, 2, 1), self.block)
        assert columns is not None, "chosen for circulant weights only"
        rows, across = columns.shape[:2]
        whole = expand(self.stored(columns), rows * self.block, across * self.block).transpose(0, 2, 1)
        entries = pack_weights(whole, way, lanes, outputs)
        blocks = entries.reshape(
            len(entries), outputs // self.block, self.block, lanes // self.block, self.block
        )
        return blocks[..., 0].transpose(0, 1, 3, 2).reshape(len(entries), -1)


@dataclass(frozen=True)
class DirectForm(CirculantForm):
    """Columns rotated into K * K products, two of 8 bits to a DSP."""

    name: ClassVar[str] = DIRECT

    @property
    def paired(self) -> bool:
        """True if two products share a DSP (hls_kernels/dot.hpp)."""
        return self.input_bits <= 8 and self.weight_bits <= 8

    def multipliers(self, outputs: int, lanes: int) -> int:
        """As many as a dense array."""
        return outputs * lanes

    def dsps(self, outputs: int, lanes: int) -> int:
        """Half as many as multipliers where they are paired."""
        if self.paired:
            return self.multipliers(outputs, lanes) // 2
        return self.multipliers(outputs, lanes) * dsps_of_product(self.input_bits, self.weight_bits)

    def luts(self, outputs: int, lanes: int) -> int:
        """As a dense array."""
        count = self.multipliers(outputs, lanes)
        return 10 * count + (_PAIR_LUTS * (count // 2) if self.paired else 0)

    def operand_bits(self, lanes: int) -> int:
        """The word itself."""
        return lanes * self.input_bits

    @property
    def type(self) -> str:
        """hls_kernels/circulant_direct.hpp."""
        return f"circulant_direct<{self.block}, {str(self.paired).lower()}, input_t, weight_t, sum_t>"


@dataclass(frozen=True)
class ExactForm(CirculantForm):
    """X(K) products of sums; an accumulator has `total_bits`."""

    total_bits: int

    name: ClassVar[str] = EXACT

    def multipliers(self, outputs: int, lanes: int) -> int:
        """X(K) for each block."""
        rows, across = self.blocks(outputs, lanes)
        return rows * across * multiplications(self.block)

    def dsps(self, outputs: int, lanes: int) -> int:
        """Both operands are wider by the growth."""
        each = dsps_of_product(self.input_bits + self.growth, self.weight_bits + self.growth)
        return each * self.multipliers(outputs, lanes)

    def luts(self, outputs: int, lanes: int) -> int:
        """Transforms of inputs, of weights, and back; sums of products."""
        rows, across = self.blocks(outputs, lanes)
        before, after = additions(self.block)
        into = across * before * (self.input_bits + self.growth)
        weights = rows * across * before * (self.weight_bits + self.growth)
        return into + weights + (self.multipliers(outputs, lanes) + rows * after) * self.total_bits

    def operand_bits(self, lanes: int) -> int:
        """All points."""
        return lanes // self.block * multiplications(self.block) * (self.input_bits + self.growth)

    @property
    def type(self) -> str:
        """hls_kernels/circulant_exact.hpp."""
        return (
            f"circulant_exact<{self.block}, input_t, integer<{self.input_bits + self.growth}>, weight_t, "
            f"integer<{self.weight_bits + self.growth}>, integer<{self.total_bits}>, sum_t>"
        )


@dataclass(frozen=True)
class FftForm(CirculantForm):
    """Products of spectra, in fixed point.

    `widths` bound all that occurs, for the weights of the unit's tasks; `words` are those of their shortest patch.
    """

    precision: Precision
    widths: Widths
    words: int

    name: ClassVar[str] = FFT

    @property
    def stored_bits(self) -> int:
        """Bits of an element of a spectrum."""
        return _bits(self.widths.weight)

    def multipliers(self, outputs: int, lanes: int) -> int:
        """E(K) for each block, R(K) for each transform: of a word's blocks, and back of those of a part."""
        rows, across = self.blocks(outputs, lanes)
        transforms = across + rows // self.steps(outputs)
        return rows * across * products(self.block) + transforms * fft_multiplications(self.block)

    def steps(self, outputs: int) -> int:
        """As many as end before the next pass does, up to 16: each is a cycle at the end of a phase."""
        rows = outputs // self.block
        most = min(_MOST_STEPS, self.words)
        return max(count for count in range(1, rows + 1) if rows % count == 0 and count <= most)

    def dsps(self, outputs: int, lanes: int) -> int:
        """By the widths of each product; twiddle factors have 16 bits."""
        rows, across = self.blocks(outputs, lanes)
        each = dsps_of_product(_bits(self.widths.spectrum) + 1, self.stored_bits + 1)
        transform = fft_multiplications(self.block)
        into = across * transform * dsps_of_product(_bits(self.widths.spectrum), 16)
        back = rows // self.steps(outputs) * transform * dsps_of_product(_bits(self.widths.bins), 16)
        return rows * across * products(self.block) * each + into + back

    def luts(self, outputs: int, lanes: int) -> int:
        """Adders of a split-radix transform, of three-product complex products, and sums of products.

        A real transform of K numbers takes 3/2 K log2(K) - 5/2 K + 4 additions (Sorensen et al., 1987).
        """
        rows, across = self.blocks(outputs, lanes)
        k = self.block
        transform = (3 * k * self.growth - 5 * k) // 2 + 4
        complex_pairs = rows * across * (k // 2 - 1)
        inner = complex_pairs * (3 * self.stored_bits + 4 * _bits(self.widths.total))
        into = across * transform * _bits(self.widths.spectrum)
        back = rows // self.steps(outputs) * transform * _bits(self.widths.bins)
        return into + inner + back + rows * k * _bits(self.widths.total)

    def operand_bits(self, lanes: int) -> int:
        """Packed spectra."""
        return lanes * _bits(self.widths.spectrum)

    def stored(self, columns: Integers) -> Integers:
        """Their spectra."""
        return spectra(columns, self.precision)

    @property
    def type(self) -> str:
        """hls_kernels/circulant_fft.hpp."""
        found, precision = self.widths, self.precision
        numbers = (self.block, precision.inputs, precision.dropped, precision.kept + self.growth)
        spectrum, turn, total, back = (
            f"integer<{_bits(n)}>" for n in (found.spectrum, found.turn, found.total, found.back)
        )
        text = ", ".join(map(str, numbers))
        return f"circulant_fft<{text}, input_t, {spectrum}, {turn}, weight_t, {total}, {back}, sum_t>"


def _bits(magnitude: int) -> int:
    return magnitude.bit_length() + 1

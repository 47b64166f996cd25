"""The three ways to multiply by circulant blocks: what each costs, what it stores, and its C++ type.

All have the same cycles. They differ in multipliers, in their operands' widths, and so in DSPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...circulant.blocks import expand, first_columns
from ...circulant.exact import additions, multiplications
from ...circulant.fft import Precision, Widths, products, spectra
from ...circulant.fft import multiplications as fft_multiplications
from ...fixed_point import Integers
from ...operator import Array
from ..constants import Constant
from ..pack import pack_weights
from .product_cost import LUTS_OF_A_DSP, ProductCost, product_cost
from .window import Way

DENSE, DIRECT, EXACT, FFT = "dense", "direct", "exact", "fft"

_PAIR_LUTS = 25
"""What packs and parts two products of one DSP."""


_MOST_STEPS = 16


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
    def label(self) -> str:
        """Its name, with what else tells it from other forms for the same weights."""
        return self.name

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
            Constant.alias("form", self.type),
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
        return self.multipliers(outputs, lanes) * product_cost(self.input_bits, self.weight_bits).dsps

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
        return f"direct_form<{self.block}, {str(self.paired).lower()}, input_t, weight_t, sum_t>"


@dataclass(frozen=True)
class ExactForm(CirculantForm):
    """X(size) products of sums for each of the (K / size)^2 blocks of that size that a block is made of.

    A block of K is also of smaller ones, of every other channel or fewer (circulant_exact.strided): they take more
    products, of fewer bits, and fewer additions. An accumulator has `total_bits`.
    """

    size: int
    total_bits: int

    name: ClassVar[str] = EXACT

    @property
    def label(self) -> str:
        """With the size of the blocks that are multiplied, if those are smaller."""
        return self.name if self.size == self.block else f"{self.name}/{self.size}"

    @property
    def growth(self) -> int:
        """Of the smaller block."""
        return self.size.bit_length() - 1

    @property
    def _stride(self) -> int:
        return self.block // self.size

    @property
    def _factor_bits(self) -> int:
        return self.weight_bits + self.growth

    @property
    def _point_bits(self) -> int:
        return self.input_bits + self.growth

    def multipliers(self, outputs: int, lanes: int) -> int:
        """X(size) for each smaller block."""
        rows, across = self.blocks(outputs, lanes)
        return rows * across * self._stride**2 * multiplications(self.size)

    def dsps(self, outputs: int, lanes: int) -> int:
        """Both operands are wider by the growth."""
        return product_cost(self._point_bits, self._factor_bits).dsps * self.multipliers(outputs, lanes)

    def luts(self, outputs: int, lanes: int) -> int:
        """Transforms of inputs, of weights, and back; sums of products, and what products take beside DSPs."""
        rows, across = self.blocks(outputs, lanes)
        before, after = additions(self.size)
        into = across * self._stride * before * self._point_bits
        weights = rows * across * (2 * self._stride - 1) * before * self._factor_bits
        product = product_cost(self._point_bits, self._factor_bits).luts + self.total_bits
        back = rows * self._stride * after * self.total_bits
        return into + weights + self.multipliers(outputs, lanes) * product + back

    def operand_bits(self, lanes: int) -> int:
        """All points."""
        return lanes // self.size * multiplications(self.size) * self._point_bits

    @property
    def type(self) -> str:
        """hls_kernels/circulant_exact.hpp."""
        cut = product_cost(self._point_bits, self._factor_bits).cut
        types = f"input_t, integer<{self._point_bits}>, weight_t, integer<{self._factor_bits}>"
        return f"exact_form<{self.block}, {self.size}, {cut}, {types}, integer<{self.total_bits}>, sum_t>"


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
        transform = fft_multiplications(self.block)
        into = across * transform * product_cost(_bits(self.widths.spectrum), 16).dsps
        back = rows // self.steps(outputs) * transform * product_cost(_bits(self.widths.bins), 16).dsps
        return rows * across * products(self.block) * self._product.dsps + into + back

    @property
    def _product(self) -> ProductCost:
        """Of a sum of two elements of a spectrum by a sum of two weights."""
        return product_cost(_bits(self.widths.spectrum) + 1, self.stored_bits + 1)

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
        cut = rows * across * products(k) * self._product.luts
        return into + inner + cut + back + rows * k * _bits(self.widths.total)

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
        shift = precision.kept + self.growth
        numbers = (self.block, precision.inputs, precision.dropped, shift, self._product.cut)
        spectrum, turn, total, back = (
            f"integer<{_bits(n)}>" for n in (found.spectrum, found.turn, found.total, found.back)
        )
        text = ", ".join(map(str, numbers))
        return f"fft_form<{text}, input_t, {spectrum}, {turn}, weight_t, {total}, {back}, sum_t>"


def _bits(magnitude: int) -> int:
    return magnitude.bit_length() + 1

"""The circulant array by itself, in all its forms, against the goldens in every bit; and its multiplications, counted."""

from __future__ import annotations

import subprocess
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest

from intarsia.circulant import exact as circulant_exact
from intarsia.circulant import fft as circulant_fft
from intarsia.circulant.blocks import expand, first_columns
from intarsia.fixed_point import Integers
from intarsia.machine.units.product_cost import ProductCost, product_cost

LANES, OUTPUTS, WORDS, FOLDS, PIXELS = 32, 64, 3, 2, 9
"""Of one task: three words of 32 lanes make a patch, two passes over it 128 outputs."""

MAIN = r"""
#include <cstdio>
#include "circulant.hpp"
#include "integer.hpp"
using namespace intarsia;
struct Config {
    static constexpr int kOutputs = OUTPUTS_, kLanes = LANES_, kBlock = BLOCK_, kSteps = STEPS_, kPatchWords = WORDS_;
    static constexpr int kWeightEntries = WORDS_ * FOLDS_;
    using input_t = INPUT_; using weight_t = WEIGHT_; using sum_t = int64_t; using form = FORM_;
    static circulant_row row(int) {
        return {PIXELS_ * FOLDS_ * WORDS_, FOLDS_, WORDS_, 0, WORDS_ - 1, LANES_ - 1, OUTPUTS_ - 1};
    }
};
static long long next() { long long value; return std::scanf("%lld", &value) == 1 ? value : 0; }
int main() {
    static vec<Config::weight_t, LANES_> weights[Config::kWeightEntries][OUTPUTS_ / BLOCK_];
    for (auto& entry : weights) for (auto& row : entry) for (auto& value : row.data) value = next();
    stream<vec<Config::input_t, LANES_>> patches("patches");
    stream<vec<int64_t, OUTPUTS_>> sums("sums");
    for (int i = 0; i < PIXELS_ * WORDS_; ++i) {
        vec<Config::input_t, LANES_> word;
        for (auto& value : word.data) value = next();
        patches.write(word);
    }
    circulant_direct<Config>(0, patches, weights, sums);
    for (int i = 0; i < PIXELS_ * FOLDS_; ++i) {
        const auto sum = sums.read();
        for (auto value : sum.data) std::printf("%lld\n", (long long)value);
    }
    if (simulation_fault()[0]) { std::puts(simulation_fault()); return 1; }
}
"""


def build(source: str, folder: Path, values: dict[str, object] | None = None) -> str:
    """Compile and link a program against the kernels, with undefined behaviour trapped; its path."""
    for name, value in (values or {}).items():
        source = source.replace(f"{name}_", str(value))
    (folder / "main.cpp").write_text(source)
    with as_file(files("intarsia.hls_kernels")) as kernels:
        flags = [
            "-std=c++14",
            "-O1",
            "-Wall",
            "-Werror",
            "-Wno-unknown-pragmas",
            "-Wno-unused-label",
            f"-I{kernels}",
        ]
        flags += ["-fsanitize=signed-integer-overflow,bounds", "-fsanitize-undefined-trap-on-error"]
        command = ["g++", *flags, "main.cpp", "-o", "main"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return str(folder / "main")


def integer(magnitude: int) -> str:
    """The type for values up to a magnitude."""
    return f"intarsia::integer<{magnitude.bit_length() + 1}>"


def form_of(form: str, block: int, columns: Integers, input_bits: int, weight_bits: int) -> tuple[str, str]:
    """C++ types of a form and of its weights, sized by the range analyses; `exact/4` multiplies blocks of 4."""
    x_bound, w_bound = 1 << (input_bits - 1), 1 << (weight_bits - 1)
    x, w = f"integer<{input_bits}>", f"integer<{weight_bits}>"
    if form == "direct":
        paired = str(input_bits <= 8 and weight_bits <= 8).lower()
        return f"direct_form<{block}, {paired}, {x}, {w}, int64_t>", w
    if form.startswith("exact"):
        size = size_of(form, block)
        terms = columns.shape[1] * columns.shape[3] * (block // size)
        total = circulant_exact.total_bound(size, x_bound, w_bound, terms)
        growth = size.bit_length() - 1
        cut = product_cost(input_bits + growth, weight_bits + growth).cut
        types = (x, integer(x_bound * size), w, integer(w_bound * size), integer(total), "int64_t")
        return f"exact_form<{block}, {size}, {cut}, {', '.join(types)}>", w
    precision, found = circulant_fft.Precision.of(block), circulant_fft.widths(columns, x_bound)
    shift = precision.kept + block.bit_length() - 1
    cut = product_cost(found.spectrum.bit_length() + 2, found.weight.bit_length() + 2).cut
    numbers = (block, precision.inputs, precision.dropped, shift, cut)
    weight = integer(found.weight)
    types = (x, integer(found.spectrum), integer(found.turn), weight, integer(found.total))
    types += (integer(found.back), "int64_t")
    return f"fft_form<{', '.join(map(str, (*numbers, *types)))}>", weight


def size_of(form: str, block: int) -> int:
    """Of the blocks that are multiplied."""
    return int(form.partition("/")[2] or block)


def inputs(bits: int) -> Integers:
    """(pixels, channels, 1): zeros, both rails, checkers of rails, one channel alone, and random integers."""
    rng = np.random.default_rng(2)
    low, high, channels = -(1 << (bits - 1)), (1 << (bits - 1)) - 1, LANES * WORDS
    x = rng.integers(low, high, (PIXELS, channels), endpoint=True)
    x[0], x[1], x[2] = 0, low, high
    x[3] = np.where(np.arange(channels) % 2, low, high)
    x[4], x[4, 5] = 0, low
    return x[:, :, np.newaxis]


CASES = [("direct", k, 8, 8) for k in (2, 8, 32)]
CASES += [("exact", k, 8, 8) for k in (2, 4, 8, 16, 32)] + [("exact", 8, 16, 16), ("exact", 4, 4, 16)]
CASES += [("exact/4", 8, 8, 8), ("exact/2", 16, 8, 8), ("exact/8", 32, 16, 16), ("exact/4", 16, 16, 16)]
CASES += [("fft", k, 8, 8) for k in (2, 4, 8, 16, 32)] + [("fft", 8, 16, 8), ("fft", 8, 16, 16)]


@pytest.mark.parametrize(("form", "block", "input_bits", "weight_bits"), CASES)
def test_the_array_equals_its_golden(
    form: str, block: int, input_bits: int, weight_bits: int, tmp_path: Path
) -> None:
    """Columns at both rails, and random ones; padded outputs and channels have zeros as weights."""
    rng = np.random.default_rng(1)
    low, high = -(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1
    rows, across = OUTPUTS * FOLDS // block, LANES * WORDS // block
    columns = rng.integers(low, high, (rows, across, block, 1), endpoint=True)
    columns[0], columns[-1] = low, np.where(np.arange(block) % 2, low, high)[:, np.newaxis]
    weight = expand(columns, OUTPUTS * FOLDS - 1, LANES * WORDS - 1)
    found = first_columns(weight, block)
    assert found is not None
    x = inputs(input_bits)
    noise = x[:, -1].copy()
    x[:, -1] = 0  # the padded channel, which holds noise in the hardware
    expected = np.einsum("oip,nip->no", expand(found, OUTPUTS * FOLDS, LANES * WORDS), x)
    stored = found
    if form.startswith("exact"):
        size = size_of(form, block)
        np.testing.assert_array_equal(circulant_exact.accumulate(found, x, size), expected)
    if form == "fft":
        rounded = circulant_fft.accumulate(found, x)
        bound = circulant_fft.widths(found, 1 << (input_bits - 1)).error
        assert np.abs(rounded - expected).max() <= bound
        assert (bound == 0) == (block <= 4)
        expected, stored = rounded, circulant_fft.spectra(found)
    expected[:, -1] = 0  # the padded output
    x[:, -1] = noise
    cpp, weight_type = form_of(form, block, found, input_bits, weight_bits)
    values: dict[str, object] = {"OUTPUTS": OUTPUTS, "LANES": LANES, "BLOCK": block, "WORDS": WORDS}
    # Two parts, both ready before the next pass of three words ends.
    values["STEPS"] = 2 if form == "fft" and OUTPUTS // block % 2 == 0 else 1
    values |= {"FOLDS": FOLDS, "PIXELS": PIXELS, "INPUT": f"integer<{input_bits}>"}
    program = build(MAIN, tmp_path, values | {"WEIGHT": weight_type, "FORM": cpp})
    per_fold, per_word = OUTPUTS // block, LANES // block
    entries = stored[..., 0].reshape(FOLDS, per_fold, WORDS, per_word, block).transpose(0, 2, 1, 3, 4)
    text = " ".join(map(str, [*entries.ravel(), *x[:, :, 0].ravel()]))
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]
    sums = np.array(done.stdout.split(), dtype=np.int64).reshape(PIXELS, FOLDS * OUTPUTS)
    np.testing.assert_array_equal(sums, expected)


COUNT = r"""
#include <cstdio>
#include "circulant_direct.hpp"
#include "circulant_exact.hpp"
#include "circulant_fft.hpp"
static int products = 0;
// A number that counts its products, but for those with powers of two, which are shifts.
struct number {
    long long value; bool shift;
    number(long long v = 0) : value(v), shift(v > 0 && (v & (v - 1)) == 0) {}
};
static number plain(long long v) { number n(v); n.shift = false; return n; }
static number operator+(number a, number b) { return plain(a.value + b.value); }
static number operator-(number a, number b) { return plain(a.value - b.value); }
static number operator>>(number a, int b) { return plain(a.value >> b); }
static number operator<<(number a, int b) { number n(a.value << b); n.shift = a.shift; return n; }
static number& operator+=(number& a, number b) { return a = a + b; }
static number operator*(number a, number b) {
    products += !a.shift && !b.shift;
    return plain(a.value * b.value);
}
template <class form> void count(int size) {
    number x[64], c[64], sum[64], operand[form::kOperands], total[form::kTotals];
    for (int i = 0; i < 64; ++i) { x[i] = plain(i + 1); c[i] = plain(3 * i + 1); }
    for (auto& t : total) t = plain(0);
    products = 0; form::transform(x, operand); const int in = products;
    products = 0; form::multiply(operand, c, total); const int each = products;
    products = 0; form::finish(total, sum);
    std::printf("%d %d %d %d\n", size, in, each, products);
}
template <int k, int size> using split =
    intarsia::exact_form<k, size, 0, number, number, number, number, number, number>;
template <int k> using exact = split<k, k>;
template <int k> using fft =
    intarsia::fft_form<k, 4, 4, 7, 0, number, number, number, number, number, number, number>;
template <int k> using direct = intarsia::direct_form<k, false, number, number, number>;
int main() {
    count<direct<8>>(8);
    count<exact<2>>(2); count<exact<4>>(4); count<exact<8>>(8); count<exact<16>>(16); count<exact<32>>(32);
    count<split<8, 4>>(8); count<split<16, 4>>(16); count<split<32, 2>>(32);
    count<fft<2>>(2); count<fft<4>>(4); count<fft<8>>(8); count<fft<16>>(16); count<fft<32>>(32); count<fft<64>>(64);
}
"""


def test_multiplications_are_those_of_the_formulas(tmp_path: Path) -> None:
    """Counted in the C++ itself: of a transform, of a product of blocks, and of the way back."""
    done = subprocess.run([build(COUNT, tmp_path)], capture_output=True, text=True, check=True)
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert found[0] == (8, 0, 64, 0)
    assert found[1:6] == [(2, 0, 2, 0), (4, 0, 5, 0), (8, 0, 14, 0), (16, 0, 41, 0), (32, 0, 122, 0)]
    assert found[6:9] == [(8, 0, 4 * 5, 0), (16, 0, 16 * 5, 0), (32, 0, 256 * 2, 0)]
    sizes, transforms = (2, 4, 8, 16, 32, 64), (0, 0, 2, 10, 34, 98)
    assert found[9:] == [(k, r, 3 * k // 2 - 1, r) for k, r in zip(sizes, transforms, strict=True)]
    assert [circulant_exact.multiplications(k) for k in sizes[:5]] == [2, 5, 14, 41, 122]
    assert [circulant_fft.multiplications(k) for k in sizes] == list(transforms)
    assert [circulant_fft.products(k) for k in sizes] == [2, 5, 11, 23, 47, 95]


def test_additions_of_the_exact_form() -> None:
    assert [circulant_exact.additions(k) for k in (2, 4, 8, 16)] == [(2, 2), (7, 9), (20, 34), (55, 119)]


@pytest.mark.parametrize("block", [2, 4, 8, 16, 32])
def test_the_bound_of_the_exact_form_holds(block: int) -> None:
    """Rails everywhere, over several positions."""
    columns = np.full((1, 3, block, 4), -128)
    x = np.full((1, 3 * block, 4), -128)
    expected = np.einsum("oip,nip->no", expand(columns, block, 3 * block), x)
    np.testing.assert_array_equal(circulant_exact.accumulate(columns, x), expected)
    assert np.abs(block * expected).max() <= circulant_exact.total_bound(block, 128, 128, 12)


@pytest.mark.parametrize("block", [2, 4, 8, 16, 32, 64])
def test_the_transform_is_the_fourier_transform(block: int) -> None:
    rng = np.random.default_rng(block)
    x = rng.integers(-(10**6), 10**6, (block, 20))
    packed = np.array(circulant_fft.forward(list(x)))
    bins = np.fft.rfft(x, axis=0)
    np.testing.assert_allclose(packed[0], bins[0].real, atol=1)
    np.testing.assert_allclose(packed[1], bins[-1].real, atol=1)
    np.testing.assert_allclose(packed[2::2], bins[1:-1].real, atol=block * 64)
    np.testing.assert_allclose(packed[3::2], bins[1:-1].imag, atol=block * 64)
    back = np.array(circulant_fft.inverse(list(packed)))
    np.testing.assert_allclose(back / block, x, atol=200)


@pytest.mark.parametrize(("block", "least_db"), [(8, 70), (16, 70), (32, 70), (64, 70)])
def test_the_noise_of_the_fft_form(block: int, least_db: float) -> None:
    rng = np.random.default_rng(0)
    columns = rng.integers(-128, 128, (2, 4, block, 3))
    x = rng.integers(-128, 128, (40, 4 * block, 3))
    expected = np.einsum("oip,nip->no", expand(columns, 2 * block, 4 * block), x)
    noise = circulant_fft.accumulate(columns, x) - expected
    assert 10 * np.log10(np.square(expected).mean() / np.square(noise).mean()) >= least_db
    assert np.abs(noise).max() <= circulant_fft.widths(columns, 128).error


def test_what_products_take() -> None:
    """Ports of 25 x 18 bits; up to 3 or 4 bits more are cheaper in LUTs than in a second DSP."""
    assert product_cost(25, 18) == product_cost(18, 25) == ProductCost(1)
    assert product_cost(19, 19) == ProductCost(1, cut=1, luts=20)
    assert product_cost(21, 22) == ProductCost(1, cut=4, luts=88)
    assert product_cost(24, 22) == ProductCost(2)
    assert product_cost(26, 19) == ProductCost(2)

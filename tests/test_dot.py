"""Two products of 8 bits in one multiplier (hls_kernels/dot.hpp): exact for all operands."""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from graphs import chain, dense, quantised
from machines import assert_equals_golden

from intarsia.board import load_board
from intarsia.machine.units.mac_process import products_per_dsp
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide

SOURCE = """
#include "dot.hpp"
using namespace intarsia;
extern "C" long differences() {
    long wrong = 0;
    for (int a = -128; a < 128; ++a)
        for (int b = -128; b < 128; ++b)
            for (int x = -128; x < 128; ++x) {
                vec<int8_t, 1> input = {{int8_t(x)}};
                vec<int8_t, 2> factors = {{int8_t(a), int8_t(b)}};
                vec<int32_t, 2> sums;
                dot<true>::products(input, factors, sums);
                wrong += sums[0] != a * x || sums[1] != b * x;
            }
    return wrong;
}
"""


def test_all_operands(tmp_path: Path) -> None:
    (tmp_path / "dot.cpp").write_text(SOURCE)
    kernels = str(files("intarsia.hls_kernels"))
    command = ["g++", "-O2", "-std=c++14", "-shared", "-fPIC", "-I", kernels, "dot.cpp", "-o", "dot.so"]
    subprocess.run([*command, "-Wno-unknown-pragmas"], cwd=tmp_path, check=True)
    assert ctypes.CDLL(str(tmp_path / "dot.so")).differences() == 0


@pytest.mark.parametrize(
    ("bits", "outputs", "dsp"),
    [((8, 8), 4, 16), ((8, 8), 1, 8), ((16, 8), 4, 32), ((8, 16), 4, 32), ((4, 4), 2, 8)],
)
def test_counted_only_where_emitted(bits: tuple[int, int], outputs: int, dsp: int) -> None:
    rng = np.random.default_rng(0)
    options = QuantiseOptions(weight_bits=bits[0], activation_bits=bits[1])
    graph = quantised(chain((8, 1, 1), [dense(rng, 8, 12), dense(rng, 12, 6)]), options)
    schedule = sequential(graph, 8, outputs)
    found = evaluate(graph, schedule, load_board("kv260")).resources.dsp
    assert found == dsp
    machine = assert_equals_golden(graph, schedule)
    config = next(config for config in machine.configs if config.name == "EngineMac")
    paired = next(constant.value for constant in config.constants if constant.name == "kPaired")
    assert paired == ("true" if found < 8 * outputs else "false")


def test_products_per_dsp() -> None:
    assert [products_per_dsp(*bits) for bits in ((8, 8), (8, 4), (9, 8), (8, 9), (16, 16))] == [2, 2, 1, 1, 1]


def test_a_board_of_few_dsps_makes_more_products_than_it_has() -> None:
    rng = np.random.default_rng(0)
    graph = quantised(chain((64, 1, 1), [dense(rng, 64, 256)]))
    found = decide(graph, load_board("pynq-z2"), "sequential").chosen
    assert found.resources.dsp <= 220 < found.schedule.units[0].outputs * found.schedule.lanes

"""Streams of the C-simulation (hls_kernels/stream.hpp): faults by name, and storage that the next phase starts with empty."""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files
from pathlib import Path

from intarsia.simulation.build import FLAGS

SOURCE = """
#include "stream.hpp"
using namespace intarsia;
extern "C" const char* fault() { return simulation_fault(); }
extern "C" int phase(int writes, int reads) {
    stream<int> first("first");
    stream<int> second("second");
    for (int i = 0; i < writes; ++i) first.write(i + 1);
    for (int i = 0; i < reads; ++i) second.write(first.read());
    int sum = 0;
    for (int i = 0; i < reads; ++i) sum = 10 * sum + second.read();
    return sum;
}
"""


def compiled(folder: Path) -> ctypes.CDLL:
    (folder / "top.cpp").write_text(SOURCE)
    kernels = str(files("intarsia.hls_kernels"))
    subprocess.run(["g++", *FLAGS, "-I", kernels, "top.cpp", "-o", "top.so"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "top.so"))
    library.fault.restype = ctypes.c_char_p
    return library


def test_phases_do_not_see_what_others_left(tmp_path: Path) -> None:
    library = compiled(tmp_path)
    assert [library.phase(count, count) for count in (3, 5, 2)] == [123, 12345, 12]
    assert library.fault() == b""
    assert library.phase(4, 1) == 1
    assert library.fault() == b"words were left unread in stream 'first'"
    assert library.phase(2, 3) == 120, "the third word is missing, not one of the phase before"
    assert library.fault() == b"words were left unread in stream 'first'", "the first fault stays"


def test_a_word_too_few(tmp_path: Path) -> None:
    library = compiled(tmp_path)
    assert library.phase(1, 2) == 10
    assert library.fault() == b"read from empty stream 'first'"

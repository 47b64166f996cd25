"""A tiny project with a kernel written by hand, for the tests of the board leg."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.board import load_board
from intarsia.project.driver_files import driver_files
from intarsia.project.register_map import Argument, assign_offsets

# Passes the image through and adds a weight; the weights stay on the chip until they are loaded again. An image that
# begins with 127 makes it hang, one with 124 makes it hang in its second phase, one with 126 makes it crash, one with 125
# is a fault that it reports as the emitted C-simulations do.
KERNEL = """
#include <cstdint>
#include <cstdlib>
#include <cstdio>
struct word_t { int8_t b[16]; };
static int8_t on_chip[16];
static const char* fault = "";
extern "C" const char* intarsia_fault() { return fault; }
extern "C" void tiny(const word_t* input, word_t* output, const word_t* weights, word_t* taps, int load_weights,
                     int tap, volatile uint32_t* phase, uint32_t* cycles) {
    *phase = 0;
    if (load_weights) for (int i = 0; i < 16; i++) on_chip[i] = weights->b[i];
    if (input[0].b[0] == 127) for (volatile int forever = 1; forever;) {}
    if (input[0].b[0] == 126) abort();
    if (input[0].b[0] == 125) fault = "read from empty stream 'pixels'";
    puts("a C-simulation may print");
    int16_t* doubled = reinterpret_cast<int16_t*>(taps);
    int32_t* sums = reinterpret_cast<int32_t*>(taps + 4);
    int32_t sum = 0;
    for (int pixel = 0; pixel < 4; pixel++) {
        for (int c = 0; c < 16; c++) output[pixel].b[c] = c < 3 ? int8_t(input[pixel].b[c] + on_chip[c]) : 99;
        if (input[0].b[0] == 124 && pixel == 2) for (volatile int forever = 1; forever;) {}
        for (int c = 0; c < 3; c++) {
            if (tap == 1) doubled[pixel * 8 + c] = 2 * input[pixel].b[c];
            sum += input[pixel].b[c];
        }
    }
    if (tap == 2) for (int i = 0; i < 5; i++) sums[i] = 1000 * sum + i;
    *phase = 2;
    *cycles = 2000 + load_weights;
}
"""

WEIGHTS = np.arange(1, 17, dtype=np.int8)

START = """
import numpy as np
from accelerator import Accelerator, AcceleratorError
x = np.arange(36, dtype=np.int8).reshape(3, 3, 2, 2)
wanted = x + np.array([1, 2, 3]).reshape(1, 3, 1, 1)
def error_of(call, *arguments):
    try:
        call(*arguments)
    except AcceleratorError as error:
        return str(error)
    raise AssertionError("no error")
"""
"""Begins a user's script in the deploy folder: three samples, what the kernel makes of them, and the error of a call."""


def image_format(bits: int, lanes: int) -> dict[str, Any]:
    number = {"bits": bits, "signed": True, "exponent": -4}
    return {
        "shape": [1, 3, 2, 2],
        "channel_axis": 1,
        "lanes": lanes,
        "words": 4,
        "word_offset": 0,
        "format": number,
    }


GOLDEN_IMAGES = np.arange(-24, 24, dtype=np.int8).reshape(4, 3, 2, 2)
"""Samples of the self-test."""


def golden_vectors() -> bytes:
    """The file of the self-test."""
    buffer = io.BytesIO()
    arrays = {"in:image": GOLDEN_IMAGES, "out:result": expected(GOLDEN_IMAGES)["result"].astype(np.int8)}
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def manifest(board: str = "kv260", kernel: str = "tiny") -> dict[str, Any]:
    arguments = assign_offsets(
        [
            Argument("input", "pointer", "in", bytes=64, bundle="gmem_input"),
            Argument("output", "pointer", "out", bytes=64, bundle="gmem_output"),
            Argument("weights", "pointer", "in", bytes=16, bundle="gmem_weights"),
            Argument("taps", "pointer", "out", bytes=96, bundle="gmem_taps"),
            Argument("load_weights", "scalar", bits=32),
            Argument("tap", "scalar", bits=32),
            Argument("phase", "scalar", "out", bits=32),
            Argument("cycles", "scalar", "out", bits=32),
        ]
    )
    digest = hashlib.sha256(WEIGHTS.tobytes()).hexdigest()
    sums = {"shape": [1, 5], "channel_axis": 1, "lanes": 4, "words": 2, "word_offset": 4}
    sums["format"] = {"bits": 32, "signed": True, "exponent": 0}
    about = load_board(board)
    system = about.about_family.ps
    assert system is not None
    return {
        "format": 1,
        "family": about.family,
        "runtime": "pynq",
        "control_base": system.control_base,
        "ddr_bytes": about.memory.ddr_bytes,
        "cycles": 2000,
        "phases": [
            {"cycles": 500, "tensors": ["/body/doubled"]},
            {"cycles": 1500, "tensors": ["file", "result"]},
        ],
        "golden": {"file": "golden_vectors.npz", "sha256": hashlib.sha256(golden_vectors()).hexdigest()},
        "name": kernel,
        "kernel": kernel,
        "instance": f"{kernel}_0",
        "board": board,
        "clock_mhz": 200.0,
        "word_bytes": 16,
        "arguments": [argument.manifest() for argument in arguments],
        "inputs": [{"tensor": "image", "argument": "input", **image_format(8, 16)}],
        "outputs": [{"tensor": "result", "argument": "output", **image_format(8, 16)}],
        "taps": [
            {"tensor": "/body/doubled", "argument": "taps", "select": 1, **image_format(16, 8)},
            {"tensor": "file", "argument": "taps", "select": 2, **sums},
        ],
        "weights": {"argument": "weights", "file": "weights.bin", "bytes": 16, "sha256": digest},
        "sha256": {"weights.bin": digest},
    }


def write_project(folder: Path, board: str = "kv260", kernel: str = "tiny") -> Path:
    """Writes the deploy folder as the compiler does."""
    deploy = folder / "deploy"
    deploy.mkdir(parents=True)
    (deploy / "manifest.json").write_text(json.dumps(manifest(board, kernel)))
    (deploy / "weights.bin").write_bytes(WEIGHTS.tobytes())
    (deploy / "golden_vectors.npz").write_bytes(golden_vectors())
    for path, data in driver_files(kernel, load_board(board).about_family, "").items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def build_library(folder: Path, kernel: str = "tiny") -> Path:
    """Compiles the kernel, under another name if one is given."""
    source, library = folder / "tiny.cpp", folder / "libtiny.so"
    source.write_text(KERNEL)
    subprocess.run(
        ["g++", f"-Dtiny={kernel}", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)], check=True
    )
    return library


def expected(images: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """What the kernel does, in NumPy."""
    images = images.astype(np.int64)
    sums = images.reshape(len(images), -1).sum(axis=1)
    return {
        "result": images + WEIGHTS[:3].reshape(1, 3, 1, 1),
        "/body/doubled": images * 2,
        "file": 1000 * sums[:, None] + np.arange(5),
    }

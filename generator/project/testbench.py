"""The stand-alone testbench: golden vectors and a C++ main that returns non-zero on a mismatch.

It is what `vitis-run --csim` and co-simulation run, and needs only a C++ compiler (tb/Makefile) otherwise.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from intarsia.boards.driver.dram_layout import pack
from intarsia.boards.driver.number_formats import element_type

from .. import golden
from ..design import TESTBENCH_SAMPLES, Design
from ..emit import argument_words, kernel_parameters
from ..fixed_point import Integers
from ..operator import Array
from ..rendering import render


def testbench_files(design: Design, manifest: dict[str, Any], generated: str) -> dict[str, bytes]:
    """Files of the project's tb/ folder."""
    inputs = _stimuli(design)
    trace = golden.run(design.graph, inputs)
    sizes = argument_words(design.machine)
    context = {
        "design": design.name,
        "kernel": design.name,
        "generated": generated,
        "vectors": TESTBENCH_SAMPLES,
        "sizes": sizes,
        "parameters": kernel_parameters(design.machine),
        "batch": design.machine.batch,
        "spills": design.machine.spills,
        "spill_words": design.machine.spill_words,
    }
    return {
        "tb/tb.cpp": render("tb.cpp.j2", context).encode(),
        "tb/Makefile": render("tb_makefile.j2", context).encode(),
        "tb/inputs.bin": _words(manifest["inputs"], inputs),
        "tb/expected.bin": _words(manifest["outputs"], trace),
    }


def golden_vectors(design: Design) -> bytes:
    """The samples of the testbench and what the golden says of them, for the self-test of the driver.

    An .npz file with the raw integers of every input (`in:` and its name) and output (`out:` and its name).
    """
    inputs = _stimuli(design)
    trace = golden.run(design.graph, inputs)
    arrays = {f"in:{name}": _raw(design, name, inputs[name]) for name in inputs}
    arrays |= {f"out:{name}": _raw(design, name, trace[name]) for name in design.graph.outputs}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _raw(design: Design, name: str, values: Integers) -> Array:
    """Samples of one tensor in the type of its format."""
    tensor = design.graph.tensors[name]
    number = {"bits": tensor.number.bits, "signed": tensor.number.signed}
    return values.reshape(TESTBENCH_SAMPLES, *tensor.shape[1:]).astype(element_type(number), order="C")


def _stimuli(design: Design) -> dict[str, Integers]:
    """Raw inputs: calibration samples as far as they go, then seeded random integers over the full range."""
    random = np.random.default_rng(0)
    result = {}
    for name in design.graph.inputs:
        tensor = design.graph.tensors[name]
        number = tensor.number
        real = number.quantise(design.samples[name][: TESTBENCH_SAMPLES // 2])
        noise = random.integers(
            number.minimum, number.maximum + 1, (TESTBENCH_SAMPLES - len(real), *tensor.shape)
        )
        result[name] = np.concatenate([real, noise])
    return result


def _words(specs: list[dict[str, Any]], values: dict[str, Integers]) -> bytes:
    """Samples one after the other; within a sample the tensors in buffer order."""
    packed = [
        pack(values[spec["tensor"]].reshape(TESTBENCH_SAMPLES, *spec["shape"][1:]), spec).reshape(
            TESTBENCH_SAMPLES, -1
        )
        for spec in specs
    ]
    return np.concatenate(packed, axis=1).tobytes()

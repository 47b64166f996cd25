"""The manifest: how to call the kernel, where tensors lie in its buffers, and what belongs to what.

Written to deploy/manifest.json; driver, emulated board, C-simulation and verifier all read this one file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx

from ..design import HOST_AFTER, HOST_BEFORE, Design
from ..emit import WATCHED, argument_bytes, argument_names, argument_words
from ..machine.machine import Machine, TensorPlace
from ..task_graph import TaskGraph
from .register_map import Argument, assign_offsets

FORMAT = 1

_WRITTEN = frozenset({"output", "taps", "spills_out", *WATCHED})
"""Arguments that the kernel writes; it reads the others."""


def kernel_arguments(machine: Machine) -> tuple[Argument, ...]:
    """Arguments of the top function with their register offsets."""
    buffers = argument_words(machine)
    return assign_offsets(
        Argument(
            name=name,
            kind="pointer" if name in buffers else "scalar",
            bits=64 if name in buffers else 32,
            direction="out" if name in _WRITTEN else "in",
        )
        for name in argument_names(machine)
    )


def manifest(
    machine: Machine, graph: TaskGraph, *, board: str, clock_mhz: float, files: Mapping[str, bytes]
) -> dict[str, Any]:
    """The manifest as JSON data.

    Args:
        machine: the datapath.
        graph: the quantised graph, for shapes and formats.
        board: name of the board.
        clock_mhz: clock of the kernel.
        files: content of the project's files whose hashes are recorded, by path in the project.
    """
    sizes = argument_bytes(machine)
    arguments = []
    for argument in kernel_arguments(machine):
        entry: dict[str, Any] = {**argument.manifest()}
        if argument.name in sizes:
            entry |= {"bytes": sizes[argument.name], "bundle": f"gmem_{argument.name}"}
        if argument.name in machine.spills:
            entry["buffer"] = machine.spills[0]  # all of them get the address of one buffer
        arguments.append(entry)
    return {
        "format": FORMAT,
        "name": machine.name,
        "kernel": machine.name,
        "instance": instance_name(machine.name),
        "board": board,
        "clock_mhz": clock_mhz,
        "word_bytes": machine.word_bytes,
        "batch": machine.batch,
        "arguments": arguments,
        "inputs": _tensors(machine, graph, machine.inputs),
        "outputs": _tensors(machine, graph, machine.outputs),
        "taps": [
            spec | {"select": place.select}
            for spec, place in zip(_tensors(machine, graph, machine.taps), machine.taps, strict=True)
        ],
        "weights": {
            "argument": "weights",
            "file": "weights.bin",
            "bytes": len(machine.weights),
            "sha256": sha256(machine.weights),
        },
        "sha256": {path: sha256(data) for path, data in sorted(files.items())},
    }


def deployment(design: Design) -> dict[str, Any]:
    """What the manifest says beyond the kernel: how the board is reached, and how long a launch takes.

    `cycles` are those of one sample, in `phases` with the `interval` to the next one of a launch, from the timed
    C-simulation or the cost model (`counted_by` in design.json). `control_base` is where the control registers stand, and 0 where XRT knows it.
    """
    family = design.board.about_family
    schedule = design.decision.chosen.schedule
    return {
        "family": family.name,
        "runtime": "pynq" if family.flow == "vivado" else "xrt",
        "control_base": family.ps.control_base if family.ps else 0,
        "ddr_bytes": design.board.memory.ddr_bytes,
        "cycles": sum(design.phase_cycles),
        "phases": [
            {
                "cycles": time.cycles,
                "interval": time.interval,
                "tasks": list(phase.tasks),
                "tensors": [design.graph.task(task).output for task in phase.tasks],
            }
            for phase, time in zip(schedule.phases, design.phase_times, strict=True)
        ],
    }


def host_parts(design: Design, files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the manifest says of the parts of the model that the host runs; empty if there are none.

    Args:
        design: the design.
        files: content of their files, by name.
    """
    models = {"before": (HOST_BEFORE, design.host_before), "after": (HOST_AFTER, design.host_after)}
    parts = {
        role: {
            "file": name,
            "sha256": sha256(files[name]),
            "inputs": [_host_tensor(value) for value in model.graph.input],
            "outputs": [_host_tensor(value) for value in model.graph.output],
        }
        for role, (name, model) in models.items()
        if model is not None
    }
    return {"host": parts} if parts else {}


def _host_tensor(value: onnx.ValueInfoProto) -> dict[str, Any]:
    kind = value.type.tensor_type
    return {
        "tensor": value.name,
        "shape": [dimension.dim_value for dimension in kind.shape.dim],
        "type": np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name,
    }


def instance_name(name: str) -> str:
    """Name of the kernel's instance in the block design, and of its compute unit with XRT."""
    return f"{name}_0"


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def _tensors(machine: Machine, graph: TaskGraph, places: Iterable[TensorPlace]) -> list[dict[str, Any]]:
    result = []
    for place in places:
        tensor = graph.tensors[place.tensor]
        number = tensor.number
        result.append(
            {
                "tensor": place.tensor,
                "argument": place.argument,
                "word_offset": place.word_offset,
                "shape": list(tensor.shape),
                "channel_axis": tensor.channel_axis,
                "lanes": machine.lanes,
                "element_bytes": machine.element_bytes,
                "words": place.words,
                **({"type": tensor.integers.name} if tensor.integers else {}),
                "format": {
                    "bits": number.bits,
                    "signed": number.signed,
                    "exponent": number.exponent,
                    "mantissa": number.mantissa,
                    "zero": number.zero,
                    "rounding": number.rounding.name,
                    "narrow": number.narrow,
                },
            }
        )
    return result

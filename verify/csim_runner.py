"""The C-simulation as a world: the emitted C++, compiled natively and called through ctypes.

The same taps serve here and on the board, selected at run time: no second build is needed to see a layer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.boards.accelerator import pack, read_manifest, sample_bytes, unpack
from intarsia.errors import IntarsiaError
from intarsia.fixed_point import Integers
from intarsia.operator import Array
from intarsia.simulation.build import build


class SimulationError(IntarsiaError):
    """The C-simulation could not run the program."""


class CsimRunner:
    """Maps raw inputs to the trace of the C-simulation.

    Raises:
        BuildError: the sources do not compile.
        SimulationError: the project is incomplete.
    """

    name = "csim"

    def __init__(self, project: Path, extra_flags: tuple[str, ...] = ()) -> None:
        self._manifest = read_manifest(project / "deploy" / "manifest.json")
        self.library = build(project, extra_flags)
        loaded = ctypes.CDLL(str(self.library))
        self._kernel = getattr(loaded, self._manifest["kernel"])
        self._kernel.restype = None
        self._fault = loaded.intarsia_fault
        self._fault.restype = ctypes.c_char_p
        weights = (project / "weights.bin").read_bytes()
        if len(weights) != self._manifest["weights"]["bytes"]:
            raise SimulationError(
                f"{project / 'weights.bin'} has {len(weights)} bytes, the manifest says "
                f"{self._manifest['weights']['bytes']}: compile the project again"
            )
        self._buffers = {
            argument["name"]: np.zeros(max(argument["bytes"], 1), np.uint8)
            for argument in self._manifest["arguments"]
            if argument["kind"] == "pointer"
        }
        self._buffers["weights"][: len(weights)] = np.frombuffer(weights, np.uint8)
        self._loaded = False

    def trace(self, inputs: Mapping[str, Array]) -> dict[str, Integers]:
        """Raw integers of the outputs and of every task's result, for inputs of shape (samples, *tensor shape[1:])."""
        packed = {spec["tensor"]: pack(inputs[spec["tensor"]], spec) for spec in self._manifest["inputs"]}
        samples = len(next(iter(inputs.values())))
        groups = sorted({spec["select"] for spec in self._manifest["taps"]})
        specs = [*self._manifest["outputs"], *self._manifest["taps"]]
        rows: dict[str, list[Any]] = {spec["tensor"]: [] for spec in specs}
        for sample in range(samples):
            for spec in self._manifest["inputs"]:
                size = sample_bytes(spec)
                self._view(spec)[:] = packed[spec["tensor"]][sample * size : (sample + 1) * size]
            for group in groups or [0]:
                self._launch(group)
                for spec in self._manifest["taps"]:
                    if spec["select"] == group:
                        rows[spec["tensor"]].append(self._view(spec).copy())
            for spec in self._manifest["outputs"]:
                rows[spec["tensor"]].append(self._view(spec).copy())
        return {
            spec["tensor"]: unpack(np.concatenate(rows[spec["tensor"]]), spec).astype(np.int64)
            for spec in specs
        }

    def _launch(self, tap: int) -> None:
        arguments = []
        for argument in self._manifest["arguments"]:
            if argument["kind"] == "pointer":
                arguments.append(ctypes.c_void_p(self._buffers[argument["name"]].ctypes.data))
            else:
                value = {"load_weights": int(not self._loaded), "tap": tap}[argument["name"]]
                arguments.append(ctypes.c_int(value))
        self._kernel(*arguments)
        self._loaded = True
        if fault := self._fault():
            raise SimulationError(
                f"C-simulation: {fault.decode()}: the program of a process moves a wrong number of words"
            )

    def _view(self, spec: dict[str, Any]) -> Any:
        start = spec["word_offset"] * self._manifest["word_bytes"]
        return self._buffers[spec["argument"]][start : start + sample_bytes(spec)]

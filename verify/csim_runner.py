"""The C-simulation as a world: the emitted C++, compiled natively and called through ctypes.

The same taps serve here and on the board, selected at run time: no second build is needed to see a layer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.boards.accelerator import AcceleratorError, pack, read_manifest, sample_bytes, unpack
from intarsia.errors import IntarsiaError
from intarsia.fixed_point import Integers
from intarsia.operator import Array
from intarsia.simulation.build import build


class SimulationError(IntarsiaError):
    """The C-simulation could not run the program."""


class CsimRunner:
    """Maps raw inputs to the trace of the C-simulation.

    `fault` is what the streams complained about first: a process that moves a wrong number of words, which would hang
    hardware. The simulation goes on after it, so that the trace shows where.
    """

    name = "csim"

    def __init__(self, manifest: Mapping[str, Any], library: Path, weights: bytes) -> None:
        """Loads the library.

        Args:
            manifest: how to call the kernel, and where tensors lie.
            library: the compiled sources.
            weights: content of weights.bin.

        Raises:
            SimulationError: library, weights and manifest do not belong together.
        """
        self._manifest = manifest
        self.library = library
        try:
            loaded = ctypes.CDLL(str(library))
            self._kernel = getattr(loaded, manifest["kernel"])
            self._fault = loaded.intarsia_fault
        except (OSError, AttributeError) as error:
            raise SimulationError(
                f"the compiled sources have no function {manifest['kernel']!r} to call: {error}"
            ) from error
        self._kernel.restype = None
        self._fault.restype = ctypes.c_char_p
        if len(weights) != manifest["weights"]["bytes"]:
            raise SimulationError(
                f"weights.bin has {len(weights)} bytes, the manifest says {manifest['weights']['bytes']}: "
                "compile the project again"
            )
        self._buffers = {
            argument["name"]: np.zeros(max(argument["bytes"], 1), np.uint8)
            for argument in manifest["arguments"]
            if argument["kind"] == "pointer"
        }
        self._buffers["weights"][: len(weights)] = np.frombuffer(weights, np.uint8)
        self._loaded = False

    @classmethod
    def of_project(cls, project: Path, extra_flags: tuple[str, ...] = ()) -> CsimRunner:
        """Compiles the sources of a project, unless they are compiled already.

        Raises:
            BuildError: the sources do not compile.
            SimulationError: the project is incomplete.
        """
        try:
            manifest = read_manifest(project / "deploy" / "manifest.json")
            weights = (project / "weights.bin").read_bytes()
        except AcceleratorError as error:
            raise SimulationError(f"{error}. Compile the project again") from error
        except OSError as error:
            raise SimulationError(
                f"cannot read {project / 'weights.bin'}: {error.strerror}. Compile the project again"
            ) from error
        return cls(manifest, build(project, extra_flags), weights)

    def trace(self, inputs: Mapping[str, Array]) -> dict[str, Integers]:
        """Raw integers of the outputs and of every task's result, for inputs of shape (samples, *tensor shape[1:]).

        Raises:
            SimulationError: an input does not fit.
        """
        try:
            return self._trace(inputs)
        except AcceleratorError as error:
            raise SimulationError(f"C-simulation: {error}") from error

    def _trace(self, inputs: Mapping[str, Array]) -> dict[str, Integers]:
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
        arguments: list[ctypes.c_void_p | ctypes.c_int] = []
        for argument in self._manifest["arguments"]:
            if argument["kind"] == "pointer":
                arguments.append(ctypes.c_void_p(self._buffers[argument["name"]].ctypes.data))
            else:
                value = {"load_weights": int(not self._loaded), "tap": tap}[argument["name"]]
                arguments.append(ctypes.c_int(value))
        self._kernel(*arguments)
        self._loaded = True

    @property
    def fault(self) -> str:
        """The first fault of the program so far, or an empty text."""
        text: bytes = self._fault()
        return f"C-simulation: {text.decode()}: a process moves a wrong number of words" if text else ""

    def _view(self, spec: dict[str, Any]) -> Any:
        start = spec["word_offset"] * self._manifest["word_bytes"]
        return self._buffers[spec["argument"]][start : start + sample_bytes(spec)]

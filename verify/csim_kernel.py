"""One copy of a compiled C-simulation: a kernel with memory of its own, which launches as the hardware would be."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.boards.driver.dram_layout import sample_bytes
from intarsia.boards.driver.manifest import samples_per_launch
from intarsia.errors import IntarsiaError


class SimulationError(IntarsiaError):
    """The C-simulation could not run the program."""


class CsimKernel:
    """A loaded library and its buffers. The on-chip memories of the program are static: copies share nothing."""

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
            if argument["kind"] == "pointer" and argument.get("buffer", argument["name"]) == argument["name"]
        }
        self._buffers["weights"][: len(weights)] = np.frombuffer(weights, np.uint8)
        self._registers = {
            argument["name"]: ctypes.c_int()
            for argument in manifest["arguments"]
            if argument["kind"] != "pointer" and argument["direction"] != "out"
        }
        self._arguments = [self._argument(argument) for argument in manifest["arguments"]]
        self._loaded = False

    def _argument(self, argument: Mapping[str, Any]) -> Any:
        """What each launch passes for an argument of the kernel."""
        if argument["kind"] == "pointer":
            buffer = self._buffers[argument.get("buffer", argument["name"])]
            return ctypes.c_void_p(buffer.ctypes.data)
        if argument["direction"] == "out":
            return ctypes.byref(ctypes.c_uint32())
        return self._registers[argument["name"]]

    @classmethod
    def copy(cls, manifest: Mapping[str, Any], library: Path, weights: bytes) -> CsimKernel:
        """Another kernel from the same library: its file is copied, or the loader would hand out the same one."""
        with tempfile.TemporaryDirectory(prefix="intarsia-") as folder:
            return cls(manifest, Path(shutil.copy(library, folder)), weights)

    def launch(self, tap: int, samples: int = 1) -> None:
        """Runs the first samples of the buffers; `tap` numbers the group of tensors that taps show, 0 for none.

        Taps have room for one sample, so that the last one of a launch is what they show.
        """
        values = {"load_weights": int(not self._loaded), "samples": samples, "tap": tap}
        for name, register in self._registers.items():
            register.value = values[name]
        self._kernel(*self._arguments)
        self._loaded = True

    @property
    def fault(self) -> str:
        """What the streams complained about first, or an empty text."""
        text: bytes = self._fault()
        return text.decode()

    def view(self, spec: dict[str, Any], sample: int = 0) -> Any:
        """The bytes of a tensor, of one sample of the launch."""
        buffer = self._buffers[spec["argument"]]
        stride = len(buffer) // samples_per_launch(self._manifest)
        start = sample * stride + spec["word_offset"] * self._manifest["word_bytes"]
        return buffer[start : start + sample_bytes(spec)]

"""The kernel of the emulated board: the compiled C-simulation of the design, called with pointers into the DRAM."""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .driver.manifest import expected_seconds
from .emulated_faults import Fault
from .emulated_memory import Memory


class KernelError(Exception):
    """The library does not hold the kernel, or cannot be loaded."""


class Kernel:
    """One configuration of the programmable logic.

    Each configuration loads a private copy of the library: its static variables are the on-chip memories, and these are
    lost when a board is configured again. The kernel runs in a thread of its own, so one that hangs leaves the
    registers readable, as in hardware.
    """

    def __init__(
        self,
        library: Path,
        manifest: dict[str, Any],
        memory: Memory,
        output: Callable[[dict[str, int]], None],
        finish: Callable[[dict[str, int]], None],
        fault: Fault,
        frozen: threading.Event,
    ) -> None:
        """Loads the library.

        Args:
            library: The shared library of the C-simulation.
            manifest: The manifest of the design.
            memory: The DRAM.
            output: Called with output scalars that change while the kernel runs.
            finish: Called with the output scalars after each launch.
            fault: The fault that a launch shows.
            frozen: Set when the board is to answer nothing more.
        """
        self._arguments = manifest["arguments"]
        self._memory = memory
        self._output = output
        self._finish = finish
        self._manifest = manifest
        self._planned = fault
        self._frozen = frozen
        self._launches = 0
        self._alignment = manifest["word_bytes"]
        with tempfile.NamedTemporaryFile(suffix=".so") as private:
            shutil.copyfile(library, private.name)
            try:
                library_copy = ctypes.CDLL(private.name)
                self._function = getattr(library_copy, manifest["kernel"])
            except (OSError, AttributeError) as error:
                raise KernelError(
                    f"cannot load kernel '{manifest['kernel']}' from {library}: {error}"
                ) from error
        self._function.restype = None
        self._fault = getattr(library_copy, "intarsia_fault", None)
        if self._fault is not None:
            self._fault.restype = ctypes.c_char_p
        self._set_clock = getattr(library_copy, "intarsia_clock", None)
        self._work: queue.SimpleQueue[tuple[list[Any], dict[str, Any], int]] = queue.SimpleQueue()
        threading.Thread(target=self._loop, daemon=True).start()

    def start(self, values: dict[str, int]) -> None:
        """Starts a launch with the values of the argument registers; a wrong pointer is refused at once."""
        self._launches += 1
        if self._planned.strikes("drop", self._launches):
            os._exit(4)
        if self._planned.strikes("freeze", self._launches):
            self._frozen.set()
        passed: list[Any] = []
        outputs: dict[str, Any] = {}
        for argument in self._arguments:
            name, bits = argument["name"], argument["bits"]
            scalar = ctypes.c_uint64 if bits > 32 else ctypes.c_uint32
            if argument["kind"] == "pointer":
                if values[name] % self._alignment:
                    raise KernelError(
                        f"pointer argument '{name}': {values[name]:#x} is no multiple of {self._alignment} bytes, a word"
                    )
                try:
                    pointer = self._memory.host_pointer(values[name], argument["bytes"])
                except Exception as error:
                    raise KernelError(f"pointer argument '{name}': {error}") from error
                passed.append(ctypes.c_void_p(pointer))
            elif argument.get("direction") == "out":
                outputs[name] = scalar()
                passed.append(ctypes.byref(outputs[name]))
            else:
                passed.append(scalar(values[name]))
        self._work.put((passed, outputs, values.get("samples", 1)))

    def _loop(self) -> None:
        while True:
            passed, outputs, samples = self._work.get()
            if self._planned.strikes("hang", self._launches):
                self._hang(passed, self._planned.phase)
                continue
            self._show_phase(0)
            end = time.monotonic() + expected_seconds(self._manifest, samples)
            self._tell_clock(samples)
            kept = self._contents(passed) if self._planned.strikes("memory-error", self._launches) else []
            self._function(*passed)
            for pointer, content in kept:
                ctypes.memmove(pointer, content, len(content))
            fault = self._fault() if self._fault is not None else b""
            if fault:  # where the simulation reports a fault, hardware would wait for ever
                print(
                    f"error: the C-simulation reports a fault: {fault.decode(errors='replace')}",
                    file=sys.stderr,
                )
                sys.stderr.flush()
                os._exit(3)
            time.sleep(max(0.0, end - time.monotonic()))  # never faster than the hardware would be
            self._finish({name: output.value for name, output in outputs.items()})

    def _tell_clock(self, samples: int) -> None:
        """A C-simulation has no clock: this lets its counter count what the schedule says."""
        ends = [
            cycles
            for phase in self._manifest.get("phases", [])
            for cycles in (phase["cycles"], *[phase.get("interval", phase["cycles"])] * (samples - 1))
        ]
        if ends and self._set_clock is not None:
            self._set_clock((ctypes.c_uint32 * len(ends))(*ends), len(ends))

    def _hang(self, passed: list[Any], phase: int) -> None:
        """Does what a launch does that stops in a phase: the results of this phase and later ones stay unwritten."""
        named = dict(zip((argument["name"] for argument in self._arguments), passed, strict=True))
        late = {name for one in self._manifest["phases"][phase:] for name in one["tensors"]}
        specs = [*self._manifest["outputs"], *self._manifest["taps"]]
        places = []
        for spec in specs:
            if spec["tensor"] in late:
                word = self._manifest["word_bytes"]
                address = named[spec["argument"]].value + spec["word_offset"] * word
                places.append((address, ctypes.string_at(address, spec["words"] * word)))
        self._function(*passed)
        for address, content in places:
            ctypes.memmove(address, content, len(content))
        self._show_phase(phase)

    def _show_phase(self, phase: int) -> None:
        if any(a["name"] == "phase" and a["kind"] == "scalar" for a in self._arguments):
            self._output({"phase": phase})

    def _contents(self, passed: list[Any]) -> list[tuple[int, bytes]]:
        """What stands now where the kernel may write."""
        return [
            (pointer.value, ctypes.string_at(pointer.value, argument["bytes"]))
            for pointer, argument in zip(passed, self._arguments, strict=True)
            if argument["kind"] == "pointer" and argument.get("direction") != "in"
        ]

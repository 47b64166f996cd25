"""The kernel of the emulated board: the compiled C-simulation of the design, called with pointers into the DRAM."""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        finish: Callable[[dict[str, int]], None],
    ) -> None:
        """Loads the library.

        Args:
            library: The shared library of the C-simulation.
            manifest: The manifest of the design.
            memory: The DRAM.
            finish: Called with the output scalars after each launch.
        """
        self._arguments = manifest["arguments"]
        self._memory = memory
        self._finish = finish
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
        self._work: queue.SimpleQueue[tuple[list[Any], dict[str, Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._loop, daemon=True).start()

    def start(self, values: dict[str, int]) -> None:
        """Starts a launch with the values of the argument registers; a wrong pointer is refused at once."""
        passed: list[Any] = []
        outputs: dict[str, Any] = {}
        for argument in self._arguments:
            name, bits = argument["name"], argument["bits"]
            scalar = ctypes.c_uint64 if bits > 32 else ctypes.c_uint32
            if argument["kind"] == "pointer":
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
        self._work.put((passed, outputs))

    def _loop(self) -> None:
        while True:
            passed, outputs = self._work.get()
            self._function(*passed)
            fault = self._fault() if self._fault is not None else b""
            if fault:  # where the simulation reports a fault, hardware would wait for ever
                print(
                    f"error: the C-simulation reports a fault: {fault.decode(errors='replace')}",
                    file=sys.stderr,
                )
                sys.stderr.flush()
                os._exit(3)
            self._finish({name: output.value for name, output in outputs.items()})

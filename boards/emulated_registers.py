"""The registers of the emulated board: the control bundle of the kernel, and plain ones of the processing system."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

AP_START, AP_DONE, AP_IDLE, AP_READY, AUTO_RESTART = 0x01, 0x02, 0x04, 0x08, 0x80
CTRL, GIER, IP_IER, IP_ISR = 0x00, 0x04, 0x08, 0x0C


class RegisterError(Exception):
    """An access that the hardware could not answer."""


class PlainRegisters:
    """Registers without side effects."""

    def __init__(self, reset: Mapping[int, int] | None = None) -> None:
        """Starts with the given values; the others are 0."""
        self._values = dict(reset or {})

    def read(self, offset: int) -> int:
        """Reads one 32-bit word."""
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Writes one 32-bit word."""
        self._values[offset] = value


class ControlRegisters:
    """The s_axilite control bundle of a kernel with ap_ctrl_hs.

    ap_start stays set until the kernel is done and cannot be cleared by writing; ap_done and ap_ready are cleared by
    reading; ap_idle is clear while the kernel runs. The arguments are sampled when the kernel starts.
    """

    def __init__(self, arguments: list[dict[str, Any]], start: Callable[[dict[str, int]], None]) -> None:
        """Resets the registers.

        Args:
            arguments: The arguments from the manifest.
            start: Called with the value of each input argument when ap_start is written; `output` may follow, and
                `finish` must.
        """
        self._arguments = arguments
        self._start = start
        self._lock = threading.Lock()
        self._control = AP_IDLE
        self._words: dict[int, int] = {}
        self._outputs = {
            a["offset"] for a in arguments if a["kind"] == "scalar" and a.get("direction") == "out"
        }

    def read(self, offset: int) -> int:
        """Reads one 32-bit word, with the side effects of a read."""
        with self._lock:
            if offset == CTRL:
                value = self._control
                self._control &= ~(AP_DONE | AP_READY)
                return value
            value = self._words.get(offset, 0)
            if offset - 4 in self._outputs:
                self._words[offset] = 0  # ap_vld of an output scalar
            return value

    def write(self, offset: int, value: int) -> None:
        """Writes one 32-bit word; starts the kernel when that word is ap_start."""
        with self._lock:
            if offset == IP_ISR:
                self._words[IP_ISR] = self._words.get(IP_ISR, 0) ^ value  # toggles on write
            elif offset in self._outputs or offset - 4 in self._outputs:
                pass  # read only
            elif offset != CTRL:
                self._words[offset] = value
            if offset != CTRL:
                return
            if value & AUTO_RESTART:
                raise RegisterError("auto_restart is not emulated: write ap_start for each launch")
            if not value & AP_START or self._control & AP_START:
                return
            self._control = AP_START
            values = {a["name"]: self._value(a) for a in self._arguments if a["offset"] not in self._outputs}
        try:
            self._start(values)
        except Exception as error:
            with self._lock:
                self._control = AP_IDLE
            raise RegisterError(str(error)) from error

    def output(self, outputs: Mapping[str, int]) -> None:
        """Takes output scalars that the kernel has written; a kernel may do so while it runs."""
        with self._lock:
            for argument in self._arguments:
                if argument["name"] in outputs:
                    self._words[argument["offset"]] = outputs[argument["name"]] & 0xFFFFFFFF
                    self._words[argument["offset"] + 4] = 1

    def finish(self, outputs: Mapping[str, int]) -> None:
        """Ends a launch; `outputs` are the output scalars that the kernel wrote."""
        self.output(outputs)
        with self._lock:
            self._words[IP_ISR] = self._words.get(IP_ISR, 0) | (self._words.get(IP_IER, 0) & 3)
            self._control = AP_DONE | AP_IDLE | AP_READY

    def _value(self, argument: dict[str, Any]) -> int:
        low = self._words.get(argument["offset"], 0)
        high = self._words.get(argument["offset"] + 4, 0) if argument["bits"] > 32 else 0
        bits: int = argument["bits"]
        return (high << 32 | low) & ((1 << bits) - 1)

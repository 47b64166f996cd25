"""How the driver reaches a board with PYNQ: the overlay, the buffers, the registers of the kernel.

Uses what PYNQ 3.1 and 4.0 both have, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DeviceError, reason

if TYPE_CHECKING:
    from collections.abc import Callable

# Bits of the control register, at offset 0 of the control bundle.
CTRL = 0x00
AP_START, AP_DONE, AP_IDLE, AP_READY = 1, 2, 4, 8

# A connection that stays silent this long is lost. PYNQ.remote waits for ever.
SILENCE_S = 10.0
SLOWEST_BYTES_PER_S = 1 << 20
LOADING_BYTES = 50 << 20


class Buffer:
    """Contiguous memory of the board, and the copy of it that this process sees."""

    def __init__(self, device: Device, size: int) -> None:
        """Allocates it."""
        self._device = device
        self._buffer = device.bounded(device.allocate_buffer, size, size=size)
        self.bytes: np.ndarray[Any, Any] = np.asarray(self._buffer)
        self.address = int(self._buffer.device_address)

    def to_device(self) -> None:
        """Makes the board see what was written here."""
        self._device.bounded(self._buffer.sync_to_device, size=self.bytes.nbytes)

    def from_device(self) -> None:
        """Makes what the board has written visible here."""
        self._device.bounded(self._buffer.sync_from_device, size=self.bytes.nbytes)

    def free(self) -> None:
        """Gives the memory back."""
        self._device.bounded(self._buffer.freebuffer)


class Device:
    """One overlay on one board, and the control registers of its kernel."""

    alignment = 64
    """Samples start at multiples of this: a cache line."""
    reads_registers = True
    loading_frees_kernel = True
    """A bitstream that is loaded again frees a kernel that is stuck."""

    def __init__(self, bitstream: Path, manifest: dict[str, Any], which: Any) -> None:
        """Loads the overlay and finds the kernel.

        Args:
            bitstream: The .bit file; its .hwh must stand beside it.
            manifest: The manifest of the design.
            which: None, the number of a device in PYNQ's list, or a device of PYNQ.

        Raises:
            DeviceError: If PYNQ is not there, the board refuses, or the .hwh belongs to another design.
        """
        self._bitstream = bitstream
        self._manifest = manifest
        self._arguments = {argument["name"]: argument for argument in manifest["arguments"]}
        self._written: dict[str, int] = {}
        self._worker = _Worker() if os.environ.get("PYNQ_REMOTE_DEVICES") else None
        try:
            self._overlay = self.bounded(_load_overlay, bitstream, which, size=LOADING_BYTES)
        except DeviceError:
            raise
        except Exception as error:
            raise DeviceError(f"cannot load {bitstream}: {reason(error)}") from error
        self._mmio = self._find_kernel()

    def allocate(self, _name: str, size: int) -> Buffer:
        """Allocates memory for an argument."""
        return Buffer(self, size)

    def allocate_buffer(self, size: int) -> Any:
        """PYNQ's own buffer, on this board even if it is not the active one."""
        from pynq import allocate

        return allocate(shape=(size,), dtype=np.uint8, target=self._overlay.device)

    def check(self) -> None:
        """Raises DeviceError if another overlay has taken the place of this one."""
        if not self._overlay.is_loaded():
            raise DeviceError(
                f"another bitstream was loaded over {self._bitstream.name}: one board holds one accelerator at a time. "
                "Make a new Accelerator, or use several boards (device=...)"
            )

    def launch(self, values: dict[str, Any], timeout_s: float) -> str:
        """Runs the kernel once.

        Args:
            values: By argument, an int, or for pointers a buffer and an offset in it.
            timeout_s: How long to wait.

        Returns:
            An empty text, or what the control register shows after the time has run out.
        """
        numbers = {
            name: value if isinstance(value, int) else value[0].address + value[1]
            for name, value in values.items()
        }
        self._write_arguments(numbers)
        self.bounded(self._mmio.write, CTRL, AP_START)
        return self._wait(timeout_s)

    def read(self, name: str) -> int:
        """The value of an output scalar, which the kernel may have written while it runs."""
        return int(self.bounded(self._mmio.read, self._arguments[name]["offset"]))

    def bounded(self, call: Callable[..., Any], *arguments: Any, size: int = 0) -> Any:
        """Calls PYNQ, but waits for a remote board only for as long as moving `size` bytes may take."""
        if self._worker is None:
            return call(*arguments)
        return self._worker.call(call, arguments, SILENCE_S + size / SLOWEST_BYTES_PER_S)

    def _find_kernel(self) -> Any:
        instance = self._manifest["instance"]
        blocks = self._overlay.ip_dict
        if instance not in blocks:
            raise DeviceError(
                f"the .hwh has no block '{instance}', only {', '.join(sorted(blocks))}: it belongs to another design"
            )
        registers = blocks[instance].get("registers") or {}
        offsets = {register["address_offset"] for register in registers.values()}
        for name, argument in self._arguments.items():
            if offsets and argument["offset"] not in offsets:
                raise DeviceError(
                    f"the .hwh of '{instance}' has no register at {argument['offset']:#x}, where the manifest puts "
                    f"argument '{name}': bitstream and manifest come from different builds"
                )
        block = self._overlay
        for part in instance.split("/"):
            block = getattr(block, part)
        return block.mmio

    def _write_arguments(self, values: dict[str, int]) -> None:
        """Writes the registers from the first to the last that changes, in one access: a board may be far away.

        Unused words in between ignore writes. PYNQ takes bytes or Python ints, and mistakes NumPy integers.
        """
        changed = [
            self._arguments[name] for name, value in values.items() if self._written.get(name) != value
        ]
        if not changed:
            return
        start = min(argument["offset"] for argument in changed)
        end = max(argument["offset"] + _register_bytes(argument) for argument in changed)
        image = bytearray(end - start)
        for name, value in values.items():
            argument = self._arguments[name]
            if start <= argument["offset"] < end:
                position, size = argument["offset"] - start, _register_bytes(argument)
                image[position : position + size] = int(value).to_bytes(size, "little", signed=value < 0)
        self.bounded(self._mmio.write, start, bytes(image))
        self._written = values

    def _wait(self, timeout_s: float) -> str:
        start = time.monotonic()
        while True:
            control = int(self.bounded(self._mmio.read, CTRL))
            if control & AP_DONE or control & (AP_START | AP_IDLE) == AP_IDLE:
                return ""
            elapsed = time.monotonic() - start
            if elapsed > timeout_s:
                return _state(control)
            if elapsed > 0.001:
                time.sleep(min(elapsed / 8, 0.01))


class _Worker:
    """A thread that makes calls for others, who need not wait for ever."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...], Any]] = queue.SimpleQueue()
        self._dead = False
        threading.Thread(target=self._loop, daemon=True).start()

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """Calls a function; DeviceError if it does not return in time, and at once ever after."""
        if self._dead:
            raise DeviceError("the connection to the board is lost: make a new Accelerator")
        answer: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        self._calls.put((function, arguments, answer))
        try:
            result, error = answer.get(timeout=timeout_s)
        except queue.Empty:
            self._dead = True
            raise DeviceError(
                f"the board has not answered for {timeout_s:.0f} s: check the network and the PYNQ.remote server, then "
                "make a new Accelerator"
            ) from None
        if error is not None:
            raise error
        return result

    def _loop(self) -> None:
        while True:
            function, arguments, answer = self._calls.get()
            try:
                answer.put((function(*arguments), None))
            except Exception as error:  # noqa: BLE001 (the caller raises it)
                answer.put((None, error))


def _load_overlay(bitstream: Path, which: Any) -> Any:
    try:
        from pynq import Device as PynqDevice
        from pynq import Overlay
    except ImportError as error:
        raise DeviceError(f"PYNQ cannot be imported by {sys.executable}: {error}") from error
    if isinstance(which, int):
        devices = PynqDevice.devices
        if not 0 <= which < len(devices):
            raise DeviceError(f"there is no device {which}: PYNQ finds {len(devices)}")
        which = devices[which]
    if os.environ.get("PYNQ_REMOTE_DEVICES"):
        # PYNQ 4.0 keeps the last .hwh that any program has parsed in one file, and would take it for this one's when a
        # bitstream is loaded again. Without its state it reads the .hwh.
        from pynq.pl_server.global_state import clear_global_state

        clear_global_state()
    overlay = Overlay(str(bitstream), download=False, device=which)
    if overlay.device.has_capability("REMOTE"):
        # PYNQ.remote 4.0 does not send a file whose name the board already knows, even when it has changed.
        digest = hashlib.sha256(bitstream.read_bytes()).hexdigest()
        overlay.binfile_name = f"{bitstream.stem}_{digest[:16]}.bin"
    overlay.download()
    return overlay


def _register_bytes(argument: dict[str, Any]) -> int:
    return 8 if argument["bits"] > 32 else 4


def _state(control: int) -> str:
    bits = {"ap_start": AP_START, "ap_done": AP_DONE, "ap_idle": AP_IDLE, "ap_ready": AP_READY}
    shown = " ".join(f"{name}={int(bool(control & bit))}" for name, bit in bits.items())
    if control in (0, 0xFFFFFFFF):
        advice = (
            "no kernel answers: check that the clock runs and that the bitstream belongs to this manifest"
        )
    else:
        advice = (
            "the kernel still runs: give a longer timeout_s; if that does not help it is stuck: check its memory "
            "ports and FIFO depths in C-simulation, then make a new Accelerator, which loads the bitstream again"
        )
    return f"CTRL = {control:#x} ({shown}): {advice}"

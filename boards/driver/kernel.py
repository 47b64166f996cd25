"""The kernel on its board: its buffers, its registers, its launches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from . import pynq_device, xrt_device
from .dram_layout import as_samples, pack, sample_bytes, unpack
from .errors import AcceleratorError, DeviceError, LaunchTimeoutError, reason
from .manifest import arguments_by_name, samples_per_launch

# Samples go to the board in chunks whose buffers stay below this, because contiguous memory is scarce on a board.
CHUNK_BYTES = 16 << 20
# What result buffers hold before a launch with taps. A word of results that happens to be just this counts as unwritten.
UNWRITTEN = 0xA5

_DEVICES = MappingProxyType({"pynq": pynq_device.Device, "xrt": xrt_device.Device})
"""How the board is reached, by `runtime` of the manifest. PYNQ and pyxrt are imported when a device is opened."""


class Kernel:
    """One kernel with its weights on one board.

    Attributes:
        manifest: The manifest of the design.
        device: How the board is reached.
        launches: How many launches have ended since the bitstream was loaded.
        seconds: How long the last launch took, by the clock of the computer that this driver runs on.
    """

    def __init__(
        self, bitstream: Path, manifest: dict[str, Any], weights: np.ndarray[Any, Any] | None, which: Any
    ) -> None:
        """Loads the bitstream.

        Raises:
            AcceleratorError: If the board refuses.
        """
        self.manifest = manifest
        self.device: Any = None
        self.launches = 0
        self.seconds = 0.0
        self._bitstream = bitstream
        self._weights = weights
        self._which = which
        self._arguments = arguments_by_name(manifest)
        self._buffers: dict[str, Any] = {}
        self._unusable = ""
        self._open()

    def close(self) -> None:
        """Frees the buffers on the board."""
        for buffer in self._buffers.values():
            with contextlib.suppress(Exception):  # a lost board must not hide why it was lost
                buffer.free()
        self._buffers.clear()
        self._unusable = self._unusable or "it was closed"

    def reload(self) -> None:
        """Loads the bitstream again, which frees a stuck kernel; buffers and weights are set up anew."""
        self.close()
        self._unusable = ""
        self.launches = 0
        self._open()

    def run(
        self, raw: dict[str, Any], tap: int, wanted: list[dict[str, Any]], timeout_s: float
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Runs every sample with one tap selection and returns the wanted tensors.

        The samples of a chunk lie one after the other in each buffer, so a chunk costs one transfer per buffer, and a
        launch only moves the pointers on. A launch takes as many samples as the kernel can, or one if it writes taps.

        Args:
            raw: Raw integers by input tensor: one sample, or several along the first axis.
            tap: The tap group to be written, or 0.
            wanted: Entries of the manifest of the tensors to return.
            timeout_s: How long one launch may take.

        Returns:
            Raw integers by tensor, with the samples along the first axis.

        Raises:
            LaunchTimeoutError: If a launch did not end in time.
            AcceleratorError: If the samples do not fit the design, or the board was lost.
        """
        self._check_usable()
        packed = {}
        for spec in self.manifest["inputs"]:
            samples = as_samples(raw[spec["tensor"]], spec)
            packed[spec["tensor"]] = pack(samples, spec).reshape(len(samples), -1)
        counts = {name: len(rows) for name, rows in packed.items()}
        count = next(iter(counts.values()))
        if len(set(counts.values())) > 1:
            raise AcceleratorError(f"the inputs must have as many samples as each other, not {counts}")

        together = 1 if tap else samples_per_launch(self.manifest)
        moving = {spec["argument"] for spec in (*self.manifest["inputs"], *wanted)}
        strides = {name: self._stride(name) for name in moving}
        launches = min(-(-count // together), max(1, CHUNK_BYTES // sum(strides.values())))
        parts: dict[str, list[np.ndarray[Any, Any]]] = {spec["tensor"]: [] for spec in wanted}
        with self._losses_told():
            self.device.check()
            for name, argument in self._arguments.items():
                if argument["kind"] == "pointer" and _buffer(argument) == name:
                    self._reserve(name, strides[name] * launches if name in moving else argument["bytes"])
            for first in range(0, count, launches * together):
                rows = np.arange(min(launches * together, count - first))
                self._send(packed, first, rows, together)
                if tap:
                    self._mark({spec["argument"] for spec in wanted})
                for launch in range(-(-len(rows) // together)):
                    offsets = {name: launch * strides[name] for name in moving}
                    taken = min(together, len(rows) - launch * together)
                    if state := self._launch(offsets, taken, tap, timeout_s):
                        raise LaunchTimeoutError(state, first + launch * together)
                self._receive(wanted, rows, together, parts)
        return {name: np.concatenate(found) for name, found in parts.items()}

    def cycles(self) -> int:
        """Clock cycles of the last launch, as the kernel counted them; 0 before that, and with a kernel that does not count.

        Raises:
            AcceleratorError: If the kernel cannot be used, or the board was lost.
        """
        counter = self._arguments.get("cycles")
        if counter is None or not self.launches:
            return 0
        self._check_usable()
        try:
            if counter["kind"] == "pointer":
                buffer = self._buffers["cycles"]
                buffer.from_device()
                return int(buffer.bytes[:4].view("<u4")[0])
            return int(self.device.read("cycles"))
        except Exception as error:
            self._unusable = "it lost the board"
            raise AcceleratorError(reason(error)) from error

    def phase(self) -> int | None:
        """What the phase register says, or None if the kernel has none, or none that can be read."""
        if self._arguments.get("phase", {}).get("kind") != "scalar" or not self.device.reads_registers:
            return None
        return int(self.device.read("phase"))

    def progress(self, specs: list[dict[str, Any]]) -> dict[str, str]:
        """How much of each tensor is written in the sample that stuck: the first with gaps."""
        result = {}
        for name in {spec["argument"] for spec in specs}:
            self._buffers[name].from_device()
        for spec in specs:
            size, stride = sample_bytes(spec), self._stride(spec["argument"])
            whole = self._buffers[spec["argument"]].bytes
            start = spec["word_offset"] * self.manifest["word_bytes"]
            rows = whole[: len(whole) // stride * stride].reshape(-1, stride)[:, start : start + size]
            words = (rows != UNWRITTEN).reshape(len(rows), -1, self.manifest["word_bytes"]).any(axis=2)
            short = np.flatnonzero(~words.all(axis=1))
            written = int(words[short[0]].sum()) if short.size else words.shape[1]
            result[spec["tensor"]] = (
                "complete" if written == words.shape[1] else f"{written} of {words.shape[1]} words"
            )
        return result

    def _open(self) -> None:
        runtime = self.manifest.get("runtime", "pynq")
        if runtime not in _DEVICES:
            raise AcceleratorError(
                f"the manifest has the runtime '{runtime}', this driver knows {', '.join(_DEVICES)}"
            )
        try:
            self.device = _DEVICES[runtime](self._bitstream, self.manifest, self._which)
            if self._weights is not None:
                self._allocate(self.manifest["weights"]["argument"], self._weights)
        except DeviceError as error:
            raise AcceleratorError(str(error)) from error
        except Exception as error:
            raise AcceleratorError(f"cannot set up the board: {reason(error)}") from error

    @contextlib.contextmanager
    def _losses_told(self) -> Iterator[None]:
        """Turns what goes wrong between the first transfer and the last into errors that say why, and notes it."""
        try:
            yield
        except LaunchTimeoutError:
            self._unusable = "its kernel is stuck"
            raise
        except AcceleratorError:
            raise
        except DeviceError as error:
            self._unusable = "it lost the board"
            raise AcceleratorError(str(error)) from error
        except Exception as error:
            self._unusable = "it lost the board"
            raise AcceleratorError(
                f"lost the board after {self.launches} launches: {reason(error)}"
            ) from error
        except BaseException:  # Ctrl-C: the kernel may still run, and must not be started while it does
            self._unusable = "a launch was interrupted"
            raise

    def _check_usable(self) -> None:
        if self._unusable:
            raise AcceleratorError(
                f"the accelerator cannot be used, {self._unusable}: make a new one, or call reload()"
            )

    def _stride(self, name: str) -> int:
        """Bytes from one launch to the next in the buffer of an argument."""
        step = int(self.device.alignment)
        return -(-int(self._arguments[name]["bytes"]) // step) * step

    def _send(self, packed: dict[str, Any], first: int, rows: np.ndarray[Any, Any], together: int) -> None:
        for spec in self.manifest["inputs"]:
            view = self._view(spec, together)
            view[rows // together, rows % together] = packed[spec["tensor"]][first : first + len(rows)]
        for name in {spec["argument"] for spec in self.manifest["inputs"]}:
            self._buffers[name].to_device()

    def _mark(self, names: set[str]) -> None:
        """Fills result buffers with a pattern, so that a stuck launch shows how far it came."""
        for name in names:
            self._buffers[name].bytes[:] = UNWRITTEN
            self._buffers[name].to_device()

    def _receive(
        self,
        wanted: list[dict[str, Any]],
        rows: np.ndarray[Any, Any],
        together: int,
        parts: dict[str, list[Any]],
    ) -> None:
        for name in {spec["argument"] for spec in wanted}:
            self._buffers[name].from_device()
        for spec in wanted:
            found = self._view(spec, together)[rows // together, rows % together]
            parts[spec["tensor"]].append(unpack(found, spec))

    def _view(self, spec: dict[str, Any], together: int) -> np.ndarray[Any, Any]:
        """A view of one tensor in the buffer of its argument, by launch, by sample of the launch, and by byte."""
        name = spec["argument"]
        stride = self._stride(name)
        step = self._arguments[name]["bytes"] // together  # from one sample to the next
        whole = self._buffers[name].bytes
        launches = whole[: len(whole) // stride * stride].reshape(-1, stride)[:, : together * step]
        start = spec["word_offset"] * self.manifest["word_bytes"]
        view: np.ndarray[Any, Any] = launches.reshape(len(launches), together, step)[
            :, :, start : start + sample_bytes(spec)
        ]
        return view

    def _launch(self, offsets: dict[str, int], samples: int, tap: int, timeout_s: float) -> str:
        """Runs so many samples; returns an empty text, or what the device says of the kernel when the time has run out."""
        values: dict[str, Any] = {}
        for name, argument in self._arguments.items():
            if argument["kind"] == "pointer":
                values[name] = (self._buffers[_buffer(argument)], offsets.get(name, 0))
            elif argument.get("direction", "in") == "in":
                roles = {"load_weights": int(self.launches == 0), "samples": samples, "tap": tap}
                values[name] = roles.get(name, int(argument.get("value", 0)))
        start = time.monotonic()
        state: str = self.device.launch(values, timeout_s)
        self.seconds = time.monotonic() - start
        self.launches += not state
        return state

    def _reserve(self, name: str, size: int) -> None:
        """Makes sure that a pointer argument has a buffer of at least `size` bytes."""
        if name not in self._buffers or self._buffers[name].bytes.nbytes < size:
            self._allocate(name, np.zeros(size, np.uint8))

    def _allocate(self, name: str, content: np.ndarray[Any, Any]) -> None:
        if name in self._buffers:
            self._buffers.pop(name).free()
        buffer = self.device.allocate(name, content.nbytes)
        buffer.bytes[:] = content
        buffer.to_device()
        self._buffers[name] = buffer


def _buffer(argument: dict[str, Any]) -> str:
    """Name of the buffer whose address an argument takes: its own, or one that several share."""
    return str(argument.get("buffer", argument["name"]))

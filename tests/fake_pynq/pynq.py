"""As much of PYNQ as the driver uses on a board itself, made of the parts of the emulated board, without a network.

It accepts only what both PYNQ 3.1 and 4.0 do. FAKE_PYNQ_LIBRARY names the library of the kernel.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.boards.emulated_faults import Fault
from intarsia.boards.emulated_kernel import Kernel
from intarsia.boards.emulated_memory import Memory
from intarsia.boards.emulated_registers import ControlRegisters


class Device:
    """The board."""

    devices: list[Device]
    active_device: Device

    def __init__(self) -> None:
        self.memory = Memory(64 << 20)
        self.overlay: Overlay | None = None

    def has_capability(self, _name: str) -> bool:
        return False


Device.devices = [Device()]
Device.active_device = Device.devices[0]


class PynqBuffer(np.ndarray[Any, Any]):
    """Memory that the processor and the kernel see differently until it is synchronised."""

    device_address: int

    def sync_to_device(self) -> None:
        self.buffer.cache[:] = self.tobytes()
        self.memory.flush(self.buffer)

    def sync_from_device(self) -> None:
        self.memory.invalidate(self.buffer)
        self[:] = np.frombuffer(bytes(self.buffer.cache), np.uint8)

    def freebuffer(self) -> None:
        self.memory.free(self.buffer)


def allocate(shape: tuple[int], dtype: Any, target: Device | None = None) -> PynqBuffer:
    memory = (target or Device.active_device).memory
    result = np.empty(shape, dtype).view(PynqBuffer)
    result.buffer, result.memory = memory.allocate(result.nbytes), memory  # type: ignore[attr-defined]
    result.device_address = result.buffer.address  # type: ignore[attr-defined]
    return result


class MMIO:
    """Whole words, or bytes of whole words."""

    def __init__(self, registers: ControlRegisters) -> None:
        self._registers = registers

    def read(self, offset: int) -> int:
        return self._registers.read(offset)

    def write(self, offset: int, data: int | bytes) -> None:
        assert type(data) in (int, bytes), "PYNQ mistakes NumPy integers"
        content = data if isinstance(data, bytes) else data.to_bytes(4, "little")
        assert offset % 4 == len(content) % 4 == 0
        for start in range(0, len(content), 4):
            self._registers.write(offset + start, int.from_bytes(content[start : start + 4], "little"))


class Block:
    """An IP of the overlay."""

    def __init__(self, mmio: MMIO) -> None:
        self.mmio = mmio


class Overlay:
    """One bitstream; the manifest beside it stands for the hardware handoff."""

    def __init__(self, bitfile_name: str, download: bool = True, device: Device | None = None) -> None:
        self.device = device or Device.active_device
        self._manifest = json.loads(Path(bitfile_name).with_name("manifest.json").read_text())
        self.ip_dict: dict[str, Any] = {self._manifest["instance"]: {"registers": {}}}
        if download:
            self.download()

    def download(self) -> None:
        registers = ControlRegisters(self._manifest["arguments"], lambda values: kernel.start(values))
        library = Path(os.environ["FAKE_PYNQ_LIBRARY"])
        kernel = Kernel(
            library,
            self._manifest,
            self.device.memory,
            registers.output,
            registers.finish,
            Fault(),
            threading.Event(),
        )
        setattr(self, self._manifest["instance"], Block(MMIO(registers)))
        self.device.overlay = self

    def is_loaded(self) -> bool:
        return self.device.overlay is self

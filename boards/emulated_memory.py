"""The DRAM of the emulated board, and the buffers that a client holds in it.

A buffer has two sides, as on a board whose caches do not follow the programmable logic: `cache` is what the processor
sees and a client reads and writes, the DRAM is what the kernel sees. Only `flush` and `invalidate` copy between them.
New memory is filled with a pattern, so that nothing works by luck with zeros.
"""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass

BASE = 0x1000_0000
PAGE = 4096
FRESH = b"\xcd"


class AddressError(Exception):
    """An address or size that the memory does not have."""


@dataclass
class Buffer:
    """Contiguous memory that a client has allocated."""

    address: int
    size: int
    cache: bytearray


class Memory:
    """DRAM; the host only spends what is touched."""

    def __init__(self, size: int) -> None:
        """Maps `size` bytes of memory."""
        self._size = size
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self._bytes = mmap.mmap(-1, size, flags=flags)
        self._host = ctypes.addressof(ctypes.c_char.from_buffer(self._bytes))
        self._buffers: dict[int, Buffer] = {}

    def allocate(self, size: int) -> Buffer:
        """Takes the first free place that is large enough, at the start of a page."""
        if size <= 0:
            raise AddressError(f"cannot allocate {size} bytes")
        address = BASE
        for taken in sorted(self._buffers):
            if address + size <= taken:
                break
            end = taken + self._buffers[taken].size
            address = max(address, end + PAGE - 1 & -PAGE)
        if address + size > BASE + self._size:
            raise AddressError(
                f"cannot allocate {size} bytes: the board has {self._size >> 20} MiB of contiguous memory"
            )
        buffer = Buffer(address, size, bytearray(FRESH * size))
        self._buffers[address] = buffer
        self.flush(buffer)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """Gives the memory back."""
        del self._buffers[buffer.address]

    def flush(self, buffer: Buffer) -> None:
        """Copies what the processor wrote to the DRAM."""
        start = buffer.address - BASE
        self._bytes[start : start + buffer.size] = bytes(buffer.cache)

    def invalidate(self, buffer: Buffer) -> None:
        """Makes the processor see the DRAM."""
        start = buffer.address - BASE
        buffer.cache[:] = self._bytes[start : start + buffer.size]

    def host_pointer(self, address: int, size: int) -> int:
        """Where the host keeps `size` bytes at a DRAM address, for the kernel.

        Raises:
            AddressError: If the bytes are not all in one buffer. A board would read and write somebody else's memory.
        """
        for buffer in self._buffers.values():
            if buffer.address <= address and address + size <= buffer.address + buffer.size:
                return self._host + address - BASE
        raise AddressError(f"{size} bytes at {address:#x} are not inside any allocated buffer")

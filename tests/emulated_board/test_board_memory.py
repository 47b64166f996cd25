"""The emulated board's memory and control registers."""

from __future__ import annotations

import ctypes

import pytest

from intarsia.boards.emulated_memory import BASE, PAGE, AddressError, Memory
from intarsia.boards.emulated_registers import ControlRegisters, RegisterError

SIZE = 16 << 20


class TestMemory:
    def test_the_two_sides_of_a_buffer_meet_only_when_told(self) -> None:
        memory = Memory(SIZE)
        buffer = memory.allocate(8)
        dram = (ctypes.c_char * 8).from_address(memory.host_pointer(buffer.address, 8))
        assert bytes(buffer.cache) == dram.raw == b"\xcd" * 8
        buffer.cache[:] = b"12345678"
        assert dram.raw == b"\xcd" * 8
        memory.flush(buffer)
        assert dram.raw == b"12345678"
        dram[0] = b"x"
        assert buffer.cache[:1] == b"1"
        memory.invalidate(buffer)
        assert bytes(buffer.cache) == b"x2345678"

    def test_freed_memory_is_used_again_and_pages_do_not_overlap(self) -> None:
        memory = Memory(SIZE)
        first, second = memory.allocate(PAGE + 1), memory.allocate(1)
        assert (first.address, second.address) == (BASE, BASE + 2 * PAGE)
        memory.free(first)
        assert memory.allocate(2 * PAGE).address == BASE

    def test_what_is_not_allocated_is_not_reached(self) -> None:
        memory = Memory(SIZE)
        buffer = memory.allocate(100)
        memory.host_pointer(buffer.address + 50, 50)
        for address, size in [(buffer.address + 50, 51), (buffer.address - 1, 1), (0, 1)]:
            with pytest.raises(AddressError, match="not inside any allocated buffer"):
                memory.host_pointer(address, size)

    def test_it_is_not_endless(self) -> None:
        with pytest.raises(AddressError, match="16 MiB"):
            Memory(SIZE).allocate(SIZE + 1)


class TestControlRegisters:
    ARGUMENTS = (
        {"name": "data", "kind": "pointer", "bits": 64, "offset": 16},
        {"name": "count", "kind": "scalar", "direction": "out", "bits": 32, "offset": 28},
        {"name": "mode", "kind": "scalar", "bits": 8, "offset": 44},
    )

    def test_a_launch(self) -> None:
        started: list[dict[str, int]] = []
        registers = ControlRegisters(list(self.ARGUMENTS), started.append)
        assert registers.read(0) == 0b0100
        registers.write(16, 0x89ABCDEF)
        registers.write(20, 0x1)
        registers.write(44, 0x1FF)
        registers.write(0, 1)
        assert started == [{"data": 0x1_89AB_CDEF, "mode": 0xFF}]
        assert registers.read(0) == registers.read(0) == 0b0001
        registers.write(0, 0)  # ap_start cannot be cleared
        registers.write(0, 1)  # nor does a second start count
        assert (registers.read(0), len(started)) == (0b0001, 1)
        registers.finish({"count": 7})
        assert registers.read(0) == 0b1110
        assert registers.read(0) == 0b0100
        assert (registers.read(28), registers.read(32), registers.read(32)) == (7, 1, 0)

    def test_interrupt_status_toggles_on_write(self) -> None:
        registers = ControlRegisters([], lambda values: None)
        registers.write(8, 1)
        registers.write(0, 1)
        registers.finish({})
        assert registers.read(12) == 1
        registers.write(12, 1)
        assert registers.read(12) == 0

    def test_auto_restart_is_refused(self) -> None:
        with pytest.raises(RegisterError, match="auto_restart"):
            ControlRegisters([], lambda values: None).write(0, 0x81)

"""The services of PYNQ.remote 4.0, over gRPC, for the emulated board.

Faults are told as PYNQ.remote tells them: in the `msg` field where a response has one, else as a gRPC error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from pynq.remote import (
    buffer_pb2,
    buffer_pb2_grpc,
    gpio_pb2_grpc,
    mmio_pb2,
    mmio_pb2_grpc,
    remote_device_pb2,
    remote_device_pb2_grpc,
)

from .emulated_faults import Fault
from .emulated_files import Files
from .emulated_memory import AddressError, Buffer, Memory

CHUNK = 2 << 20


class _Service:
    """Answers for every method that a service does not define."""

    def __getattr__(self, name: str) -> Callable[[Any, Any], None]:
        def missing(_: Any, context: Any) -> None:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"the emulated board has no {type(self).__name__}.{name}"
            )

        return missing


class DeviceService(_Service):
    """Files, and with them the configuration of the programmable logic."""

    def __init__(self, files: Files) -> None:
        """Serves the given files."""
        self._files = files

    def existsfile(self, request: Any, _: Any) -> Any:
        """Says whether a file exists."""
        return remote_device_pb2.ExistsFileResponse(exists=self._files.exists(request.file_path))

    def readfile(self, request: Any, context: Any) -> Iterator[Any]:
        """Streams a file."""
        try:
            content = self._files.read(request.file_path)
        except Exception as error:  # noqa: BLE001 (a server answers)
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        for start in range(0, len(content), CHUNK):
            yield remote_device_pb2.ReadFileResponse(data=content[start : start + CHUNK])

    def writefile(self, requests: Iterator[Any], context: Any) -> Any:
        """Writes a file from a stream."""
        path, content = "", b""
        for request in requests:
            path = request.file_path
            content += request.data
        try:
            self._files.write(path, content)
        except Exception as error:  # noqa: BLE001 (a server answers)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, _request: Any, _: Any) -> Any:
        """Takes note of nothing: the FPGA manager is told the same."""
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)


class MmioService(_Service):
    """Windows onto the registers."""

    def __init__(self, bus: Any) -> None:
        """Serves the registers of a bus, which has `check`, `read` and `write`."""
        self._bus = bus
        self._windows: dict[str, tuple[int, int]] = {}
        self._ids = itertools.count(1)

    def get_mmio(self, request: Any, _: Any) -> Any:
        """Opens a window."""
        try:
            self._bus.check(request.base_addr)
        except Exception as error:  # noqa: BLE001 (a server answers)
            return mmio_pb2.GetMmioResponse(status=False, msg=str(error))
        window = str(next(self._ids))
        self._windows[window] = (request.base_addr, request.length)
        return mmio_pb2.GetMmioResponse(status=True, mmio_id=window)

    def read(self, request: Any, _: Any) -> Any:
        """Reads 1, 2, 4 or 8 bytes."""
        try:
            address = self._address(request.mmio_id, request.offset, request.length)
            value = self._bus.read(address)
            if request.length == 8:
                other = self._bus.read(address + 4)
                value = value << 32 | other if request.word_order == "big" else other << 32 | value
            else:
                value &= (1 << 8 * request.length) - 1
        except Exception as error:  # noqa: BLE001 (a server answers)
            return mmio_pb2.ReadResponse(status=False, msg=str(error))
        return mmio_pb2.ReadResponse(status=True, data=value)

    def write(self, request: Any, _: Any) -> Any:
        """Writes whole words."""
        try:
            if request.offset % 4 or len(request.data) % 4:
                raise ValueError(
                    f"only whole words can be written, not {len(request.data)} bytes at {request.offset:#x}"
                )
            address = self._address(request.mmio_id, request.offset, len(request.data))
            for start in range(0, len(request.data), 4):
                self._bus.write(address + start, int.from_bytes(request.data[start : start + 4], "little"))
        except Exception as error:  # noqa: BLE001 (a server answers)
            return mmio_pb2.WriteResponse(status=False, msg=str(error))
        return mmio_pb2.WriteResponse(status=True)

    def _address(self, window: str, offset: int, length: int) -> int:
        base, size = self._windows[window]
        if offset + length > size:
            raise IndexError(f"offset {offset:#x} is outside the window of {size} bytes at {base:#x}")
        return base + offset


class BufferService(_Service):
    """Contiguous memory; see emulated_memory for what flush and invalidate do."""

    def __init__(self, memory: Memory, fault: Fault) -> None:
        """Serves buffers of a memory."""
        self._memory = memory
        self._fault = fault
        self._transfers = itertools.count(1)
        self._buffers: dict[str, Buffer] = {}
        self._ids = itertools.count(1)

    def allocate(self, request: Any, context: Any) -> Any:
        """Makes a buffer; an error ends the call, because the PYNQ client does not read `msg` here."""
        try:
            buffer = self._memory.allocate(request.size)
        except AddressError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        name = str(next(self._ids))
        self._buffers[name] = buffer
        return buffer_pb2.AllocateResponse(buffer_id=name)

    def write(self, requests: Iterator[Any], context: Any) -> Any:
        """Writes a stream of chunks into the processor's side of a buffer."""
        self._count_transfer(context)
        position = 0
        for request in requests:
            buffer = self._buffers.get(request.buffer_id)
            if buffer is None or position + len(request.data) > buffer.size:
                return buffer_pb2.BufferWriteResponse(
                    msg=f"cannot write buffer {request.buffer_id}: freed or too small"
                )
            buffer.cache[position : position + len(request.data)] = request.data
            position += len(request.data)
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: Any) -> Iterator[Any]:
        """Streams the processor's side of a buffer."""
        self._count_transfer(context)
        buffer = self._buffers.get(request.buffer_id)
        if buffer is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no buffer {request.buffer_id}")
            return
        for start in range(0, buffer.size, CHUNK):
            yield buffer_pb2.BufferReadResponse(data=bytes(buffer.cache[start : start + CHUNK]))

    def flush(self, request: Any, _: Any) -> Any:
        """Copies the processor's side to the DRAM."""
        return buffer_pb2.FlushResponse(msg=self._each(request, self._memory.flush))

    def invalidate(self, request: Any, _: Any) -> Any:
        """Copies the DRAM to the processor's side."""
        return buffer_pb2.InvalidateResponse(msg=self._each(request, self._memory.invalidate))

    def freebuffer(self, request: Any, _: Any) -> Any:
        """Frees a buffer."""
        message = self._each(request, self._memory.free)
        self._buffers.pop(request.buffer_id, None)
        return buffer_pb2.FreeBufferResponse(msg=message)

    def physical_address(self, request: Any, _: Any) -> Any:
        """Returns the DRAM address."""
        buffer = self._buffers.get(request.buffer_id)
        if buffer is None:
            return buffer_pb2.AddressResponse(msg=f"there is no buffer {request.buffer_id}")
        return buffer_pb2.AddressResponse(address=buffer.address)

    def _count_transfer(self, context: Any) -> None:
        number = next(self._transfers)
        if self._fault.strikes("transfer-error", number):
            context.abort(grpc.StatusCode.DATA_LOSS, f"transfer {number} failed, as asked (--fault)")

    def _each(self, request: Any, action: Callable[[Buffer], None]) -> str:
        buffer = self._buffers.get(request.buffer_id)
        if buffer is None:
            return f"there is no buffer {request.buffer_id}"
        action(buffer)
        return ""


class GpioService(_Service):
    """Nothing: the designs have no GPIO."""


def add_services(server: Any, files: Files, bus: Any, memory: Memory, fault: Fault) -> None:
    """Adds the services of a board to a gRPC server."""
    remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(DeviceService(files), server)
    mmio_pb2_grpc.add_MmioServicer_to_server(MmioService(bus), server)
    buffer_pb2_grpc.add_RemoteBufferServicer_to_server(BufferService(memory, fault), server)
    gpio_pb2_grpc.add_GpioServicer_to_server(GpioService(), server)

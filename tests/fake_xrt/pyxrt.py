"""As much of XRT's Python module as the driver uses, with the C-simulation as the card.

Names, order of arguments and behaviour are those of Xilinx/XRT src/python/pybind11/src/pyxrt.cpp. A buffer object has a
host side and a card side, and only `sync` copies between them. FAKE_XRT_LIBRARY names the library of the kernel.
"""

from __future__ import annotations

import ctypes
import enum
import os
import threading
from typing import Any

PAGE = 4096
loaded: dict[int, str] = {}


class xclBOSyncDirection(enum.Enum):  # noqa: N801 (XRT's names)
    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class ert_cmd_state(enum.Enum):  # noqa: N801
    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_TIMEOUT = 8


class uuid:  # noqa: N801
    def __init__(self, text: str) -> None:
        self._text = text

    def to_string(self) -> str:
        return self._text


class device:  # noqa: N801
    def __init__(self, index: int) -> None:
        if index not in (0, 1):
            raise RuntimeError(f"No such device with index '{index}'")
        self.index = index

    def load_xclbin(self, path: str) -> uuid:
        with open(path, "rb") as file:  # noqa: PTH123
            if not file.read().startswith(b"xclbin2"):
                raise RuntimeError("invalid xclbin")
        loaded[self.index] = path
        return uuid(path)

    def get_xclbin_uuid(self) -> uuid:
        return uuid(loaded[self.index])


class bo:  # noqa: N801
    normal = 0

    def __init__(self, owner: Any, size: int, *more: int) -> None:
        if isinstance(owner, bo):
            (offset,) = more
            assert offset % PAGE == 0, "parts of buffers start at pages"
            assert offset + size <= owner._size
            self._card, self.group = owner._card + offset, owner.group
        else:
            flags, self.group = more
            assert flags == bo.normal
            self._host, self._memory = (
                bytearray(size),
                ctypes.create_string_buffer(b"\xcd" * size, size + PAGE),
            )
            self._card = (ctypes.addressof(self._memory) + PAGE - 1) // PAGE * PAGE
        self._size = size

    def map(self) -> memoryview:
        return memoryview(self._host)

    def sync(self, direction: xclBOSyncDirection, size: int, offset: int) -> None:
        host = (ctypes.c_char * self._size).from_buffer(self._host)
        target, source = ctypes.addressof(host) + offset, self._card + offset
        if direction is xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE:
            target, source = source, target
        ctypes.memmove(target, source, size)


class kernel:  # noqa: N801
    exclusive = 0

    def __init__(self, card: device, build: uuid, name: str, _mode: int) -> None:
        assert loaded[card.index] == build.to_string()
        self.function = getattr(ctypes.CDLL(os.environ["FAKE_XRT_LIBRARY"]), name)
        self.function.restype = None

    def group_id(self, index: int) -> int:
        return 10 + index


class run:  # noqa: N801
    def __init__(self, of: kernel) -> None:
        self._kernel = of
        self._arguments: dict[int, Any] = {}

    def set_arg(self, index: int, value: Any) -> None:
        if isinstance(value, bo):
            assert value.group == self._kernel.group_id(index), "a buffer in the memory of another argument"
            value = ctypes.c_void_p(value._card)
        self._arguments[index] = value

    def start(self) -> None:
        passed = [self._arguments[index] for index in range(len(self._arguments))]
        self._thread = threading.Thread(target=self._kernel.function, args=passed, daemon=True)
        self._thread.start()

    def wait(self, timeout_ms: int) -> ert_cmd_state:
        assert isinstance(timeout_ms, int) and timeout_ms > 0
        self._thread.join(timeout_ms / 1000)
        return (
            ert_cmd_state.ERT_CMD_STATE_TIMEOUT
            if self._thread.is_alive()
            else ert_cmd_state.ERT_CMD_STATE_COMPLETED
        )

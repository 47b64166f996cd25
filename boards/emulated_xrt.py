"""An emulated card: XRT's Python module `pyxrt` as far as the driver uses it, with the C-simulation as the kernel.

The driver imports it under the name of the real one:

    sys.modules["pyxrt"] = importlib.import_module("intarsia.boards.emulated_xrt")

Names, arguments and behaviour are those of Xilinx/XRT src/python/pybind11/src/pyxrt.cpp and pyxrt.pyi. A buffer object has
a side of the host and a side of the card, and only `sync` copies between them; it lies in the memory of one argument. The
.xclbin is written by `write_xclbin`: it names the manifest and the library of the C-simulation. Registers cannot be read,
as in XRT since 2.15. There is no time on the bus.
"""

from __future__ import annotations

import ctypes
import enum
import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .emulated_faults import Fault, parse
from .emulated_kernel import Kernel
from .emulated_memory import PAGE, Buffer, Memory

MAGIC = b"xclbin2\0"
CARDS = 2
LARGEST_MEMORY = 4 << 30
FIRST_GROUP = 10
"""Memory groups are numbered from here on, so that nobody takes them for the numbers of arguments."""


def write_xclbin(manifest: Path, library: Path, folder: Path, fault: str = "") -> Path:
    """Writes `<name>.xclbin` for the emulated card.

    Args:
        manifest: The manifest of the design.
        library: The shared library of the C-simulation.
        folder: Where to write; not the deploy folder, lest somebody takes the file for a real one.
        fault: A fault that the card is to show (emulated_faults.py).
    """
    about = json.loads(manifest.read_text(encoding="utf-8"))
    content = {"manifest": about, "library": str(library.resolve()), "fault": fault}
    path = folder / f"{about['name']}.xclbin"
    path.write_bytes(MAGIC + json.dumps(content).encode())
    return path


class xclBOSyncDirection(enum.Enum):  # noqa: N801 (here and below: XRT's names)
    """Which way `bo.sync` copies."""

    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class ert_cmd_state(enum.Enum):  # noqa: N801
    """The state of a run."""

    ERT_CMD_STATE_NEW = 1
    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_ERROR = 5
    ERT_CMD_STATE_TIMEOUT = 8


class uuid:  # noqa: N801
    """What tells one .xclbin from another."""

    def __init__(self, text: str) -> None:
        """Takes its text."""
        self._text = text

    def to_string(self) -> str:
        """The text."""
        return self._text


@dataclass
class _Card:
    """What stays on a card when nobody has it open."""

    memory: Memory = field(default_factory=lambda: Memory(LARGEST_MEMORY))
    loaded: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)
    kernel: Kernel | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def configure(self, path: str) -> str:
        content = Path(path).read_bytes()
        if not content.startswith(MAGIC):
            raise RuntimeError(f"{path} is not an .xclbin of the emulated card, which runs no others")
        digest = hashlib.sha256(content).hexdigest()[:32]
        if digest != self.loaded:  # XRT does nothing when an .xclbin is loaded already
            about = json.loads(content[len(MAGIC) :])
            self.manifest = about["manifest"]
            fault = parse(about["fault"]) if about["fault"] else Fault()
            self.kernel = Kernel(
                Path(about["library"]),
                self.manifest,
                self.memory,
                lambda _: None,
                lambda _: self.ended.set(),
                fault,
                threading.Event(),
            )
            self.loaded = digest
        return digest


_cards = [_Card() for _ in range(CARDS)]


class device:  # noqa: N801
    """A card."""

    def __init__(self, index: int | str) -> None:
        """Opens a card by its number, or by its place on the bus."""
        places = [f"0000:{number:02}:00.1" for number in range(CARDS)]
        number = places.index(index) if index in places else index
        if not isinstance(number, int) or not 0 <= number < CARDS:
            raise RuntimeError(f"Could not open device with index '{index}'")
        self._card = _cards[number]

    def load_xclbin(self, path: str) -> uuid:
        """Configures the card."""
        return uuid(self._card.configure(path))

    def get_xclbin_uuid(self) -> uuid:
        """Which .xclbin is on the card now."""
        return uuid(self._card.loaded)


class bo:  # noqa: N801
    """A buffer object, or a part of one."""

    normal = 0
    address: int
    group: int
    _size: int
    _memory: Memory
    _buffer: Buffer

    def __init__(self, owner: device | bo, size: int, *more: int) -> None:
        """`bo(device, size, flags, group)`, or `bo(buffer, size, offset)` for a part of a buffer."""
        if isinstance(owner, bo):
            (offset,) = more
            if offset % PAGE or offset + size > owner._size:
                raise RuntimeError(
                    f"part of {size} bytes at {offset} of a buffer of {owner._size} bytes: Invalid argument"
                )
            self._memory, self._buffer, self._whole = owner._memory, owner._buffer, owner
            self.address, self.group = owner.address + offset, owner.group
        else:
            flags, self.group = more
            if flags != bo.normal or size <= 0:
                raise RuntimeError(f"buffer of {size} bytes with flags {flags}: Invalid argument")
            self._memory, self._whole = owner._card.memory, self
            self._buffer = self._memory.allocate(size)
            self.address = self._buffer.address
        self._size = size

    def __del__(self) -> None:
        """XRT frees a buffer when nothing refers to it."""
        if getattr(self, "_whole", None) is self:
            self._memory.free(self._buffer)

    def map(self) -> memoryview:
        """The side of the host."""
        return memoryview(self._buffer.cache)

    def sync(self, direction: xclBOSyncDirection, size: int, offset: int) -> None:
        """Copies bytes between the two sides."""
        if self._whole is not self or offset + size > self._size:
            raise RuntimeError(f"sync of {size} bytes at {offset}: Invalid argument")
        card = (ctypes.c_char * size).from_address(self._memory.host_pointer(self.address + offset, size))
        host = memoryview(self._buffer.cache)[offset : offset + size]
        if direction is xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE:
            memoryview(card).cast("B")[:] = host
        else:
            host[:] = memoryview(card).cast("B")


class kernel:  # noqa: N801
    """The compute unit."""

    exclusive = 0
    shared = 1

    def __init__(self, card: device, build: uuid, name: str, mode: int = shared) -> None:
        """Opens the kernel of the .xclbin that is loaded."""
        if card._card.loaded != build.to_string():
            raise RuntimeError("xclbin id mismatch: Invalid argument")
        if name.partition(":")[0] != card._card.manifest["kernel"] or mode not in (
            kernel.exclusive,
            kernel.shared,
        ):
            raise RuntimeError(f"No such kernel '{name}'")
        self._card = card._card

    def group_id(self, index: int) -> int:
        """The memory that an argument is linked to."""
        if self._card.manifest["arguments"][index]["kind"] != "pointer":
            raise IndexError(f"argument {index} has no memory")
        return FIRST_GROUP + index


class run:  # noqa: N801
    """One launch."""

    def __init__(self, of: kernel) -> None:
        """Prepares a launch."""
        self._kernel = of
        self._card = of._card
        self._values: dict[str, int] = {}
        self._keep: dict[int, bo] = {}

    def set_arg(self, index: int, value: bo | int) -> None:
        """Sets an argument: a buffer in the memory of this argument, or an int of 32 bits."""
        argument = self._card.manifest["arguments"][index]
        if isinstance(value, bo) != (argument["kind"] == "pointer"):
            raise TypeError(f"argument {index} '{argument['name']}' is a {argument['kind']}")
        if isinstance(value, bo):
            if value.group != self._kernel.group_id(index):
                raise RuntimeError(
                    f"the buffer for argument {index} '{argument['name']}' is in another memory bank"
                )
            self._keep[index] = value
            self._values[argument["name"]] = value.address
        elif type(value) is not int or not -(1 << 31) <= value < 1 << 31:
            raise TypeError(f"argument {index} '{argument['name']}': {value!r} is no int of 32 bits")
        else:
            self._values[argument["name"]] = value

    def start(self) -> None:
        """Starts the kernel."""
        missing = [
            a["name"]
            for a in self._card.manifest["arguments"]
            if a["name"] not in self._values and (a["kind"] == "pointer" or a.get("direction") != "out")
        ]
        if missing:
            raise RuntimeError(f"argument '{missing[0]}' was not set")
        assert self._card.kernel is not None
        self._card.ended = threading.Event()
        self._card.kernel.start(self._values)

    def wait(self, timeout_ms: int) -> ert_cmd_state:
        """Waits for the end; 0 waits for ever."""
        if type(timeout_ms) is not int or timeout_ms < 0:
            raise TypeError(f"{timeout_ms!r} is no unsigned int")
        if self._card.ended.wait(timeout_ms / 1000 if timeout_ms else None):
            return ert_cmd_state.ERT_CMD_STATE_COMPLETED
        return ert_cmd_state.ERT_CMD_STATE_TIMEOUT

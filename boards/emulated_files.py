"""The file system of the emulated board, as far as PYNQ looks at it."""

from __future__ import annotations

from collections.abc import Callable

FIRMWARE = "/lib/firmware/"
MANAGER = "/sys/class/fpga_manager/fpga0/"


class FileError(Exception):
    """A file that the board does not have, or that cannot be written."""


class Files:
    """A handful of files; writing the name of a bitstream to the FPGA manager configures the programmable logic."""

    def __init__(self, board: str, architecture: str, configure: Callable[[bytes], None]) -> None:
        """Fills in what a board has after booting.

        Args:
            board: The name of the board.
            architecture: "aarch64" or "armv7l".
            configure: Called with the content of a bitstream; raises an exception to refuse it.
        """
        self._configure = configure
        self._files = {
            "/proc/version": f"Linux version 6.6 (intarsia emulated board) {architecture}\n".encode(),
            "/proc/device-tree/chosen/pynq_board": f"{board} (emulated)\0".encode(),
            MANAGER + "state": b"unknown\n",
            MANAGER + "flags": b"0\n",
        }

    def exists(self, path: str) -> bool:
        """Says whether there is such a file."""
        return path in self._files

    def read(self, path: str) -> bytes:
        """Returns the content of a file."""
        if path not in self._files:
            raise FileError(f"the emulated board has no file {path}")
        return self._files[path]

    def write(self, path: str, content: bytes) -> None:
        """Writes a whole file."""
        if path == MANAGER + "firmware":
            firmware = FIRMWARE + content.decode(errors="replace").strip()
            self._files[MANAGER + "state"] = b"write error\n"
            self._configure(self.read(firmware))
            self._files[MANAGER + "state"] = b"operating\n"
        elif path.startswith(FIRMWARE) or path == MANAGER + "flags":
            self._files[path] = content
        else:
            raise FileError(f"the emulated board cannot write {path}")

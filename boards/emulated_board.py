"""The emulated board: a server that a PYNQ client cannot tell from a board with PYNQ.remote, but for its name.

    python emulated_board.py --manifest DIR/deploy/manifest.json --library csim.so [--address 127.0.0.1] [--fault hang:3]

It prints READY when it listens, and ends when its standard input is closed or on SIGTERM. It needs the Python that holds
the PYNQ client (intarsia.boards.environment), and listens on loopback only. The port is fixed in PYNQ; several
boards at once take different addresses of 127.0.0.0/8.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if not __package__:  # run as a script, where the folder is in no package (PEP 366)
    import importlib.util

    __package__ = "emulated"
    _spec = importlib.util.spec_from_file_location(
        __package__,
        Path(__file__).with_name("__init__.py"),
        submodule_search_locations=[str(Path(__file__).parent)],
    )
    assert _spec is not None
    sys.modules[__package__] = importlib.util.module_from_spec(_spec)

from .emulated_faults import Fault, parse
from .emulated_files import Files
from .emulated_kernel import Kernel
from .emulated_memory import Memory
from .emulated_overlay import CONTROL_RANGE, firmware
from .emulated_registers import ControlRegisters, PlainRegisters, RegisterError

PORT = 7967
LARGEST_MEMORY = 1 << 30
"""Contiguous memory is half of a board's DRAM, but no more than this."""

# Registers of the processing system that PYNQ reads and writes when it loads a bitstream: clocks and port widths.
# The values make the PLLs of PYNQ's formulas run at 1500 MHz and 1000 MHz.
SYSTEM_REGISTERS: dict[str, dict[int, dict[int, int]]] = {
    "zynq-ultrascale+": {
        0xFF5E_0000: {0x20: 90 << 8 | 1 << 16, 0x30: 90 << 8 | 1 << 16, 0xC0: 1 << 24 | 1 << 16 | 15 << 8},
        0xFD1A_0000: {0x20: 90 << 8 | 1 << 16, 0x2C: 90 << 8 | 1 << 16, 0x38: 90 << 8 | 1 << 16},
        0xFD61_0000: {},
        0xFF41_0000: {},
        **{0xFD36_0000 + i * 0x1_0000: {} for i in range(6)},
        0xFF9B_0000: {},
    },
    "zynq-7000": {0xF800_0000: {0x100: 20 << 12, 0x104: 20 << 12, 0x108: 20 << 12, 0x170: 1 << 20 | 10 << 8}},
}


class Board:
    """The parts of the board, and the address bus between them."""

    def __init__(self, manifest: dict[str, Any], library: Path, fault: Fault | None = None) -> None:
        """Builds the board as it is after booting: nothing is configured.

        Raises:
            ValueError: If the design is for a board of another kind than this one emulates.
        """
        kind = manifest["family"]
        if kind not in SYSTEM_REGISTERS:
            raise ValueError(
                f"boards of family '{kind}' are not emulated, only {', '.join(SYSTEM_REGISTERS)}: this board speaks "
                "PYNQ's protocol, and XRT has none like it. Verify with --board none"
            )
        self.fault = fault or Fault()
        self._frozen = threading.Event()
        self._manifest = manifest
        self._library = library
        self._control: ControlRegisters | None = None
        self.memory = Memory(min(LARGEST_MEMORY, manifest["ddr_bytes"] // 2))
        architecture = "armv7l" if kind == "zynq-7000" else "aarch64"
        self.files = Files(manifest["board"], architecture, self.configure)
        self._system = {base: PlainRegisters(reset) for base, reset in SYSTEM_REGISTERS[kind].items()}
        self._base = manifest["control_base"]

    def configure(self, content: bytes) -> None:
        """Configures the programmable logic: the kernel is reset and its on-chip memories are lost."""
        self._control = None
        if content != firmware(self._manifest):
            raise ValueError(
                f"the bitstream is not the emulated one of this build of '{self._manifest['name']}' (the emulated board "
                "runs no real bitstream): write it anew with intarsia.boards.emulated_overlay"
            )
        arguments = self._manifest["arguments"]
        control = ControlRegisters(arguments, lambda values: kernel.start(values))
        kernel = Kernel(
            self._library,
            self._manifest,
            self.memory,
            control.output,
            control.finish,
            self.fault,
            self._frozen,
        )
        self._control = control

    def check(self, address: int) -> None:
        """Raises RegisterError if nothing answers at an address."""
        self._find(address)

    def read(self, address: int) -> int:
        """Reads a word from the bus."""
        if self._frozen.is_set():
            threading.Event().wait()
        registers, offset = self._find(address)
        return registers.read(offset)

    def write(self, address: int, value: int) -> None:
        """Writes a word to the bus."""
        registers, offset = self._find(address)
        registers.write(offset, value)

    def _find(self, address: int) -> tuple[ControlRegisters | PlainRegisters, int]:
        if self._base <= address < self._base + CONTROL_RANGE:
            if self._control is None:
                raise RegisterError(
                    f"nothing answers at {address:#x}: the programmable logic is not configured, load the bitstream first"
                )
            return self._control, address - self._base
        for base, registers in self._system.items():
            if base <= address < base + 0x1_0000:
                return registers, address - base
        raise RegisterError(
            f"nothing answers at {address:#x}: the kernel is at {self._base:#x} to {self._base + CONTROL_RANGE - 1:#x}"
        )


def serve(board: Board, address: str) -> Any:
    """Starts the server; an occupied address raises RuntimeError."""
    import grpc

    from .emulated_services import add_services

    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
    add_services(server, board.files, board, board.memory, board.fault)
    server.add_insecure_port(f"{address}:{PORT}")
    server.start()
    return server


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="An emulated PYNQ board on loopback, for one intarsia design."
    )
    parser.add_argument("--manifest", required=True, type=Path, help="deploy/manifest.json of the project")
    parser.add_argument("--library", required=True, type=Path, help="shared library of the C-simulation")
    parser.add_argument("--address", default="127.0.0.1", help="loopback address to listen on (127.0.0.1)")
    parser.add_argument("--fault", type=parse, help="KIND:NUMBER, see emulated_faults.py")
    options = parser.parse_args()
    try:
        if ipaddress.ip_address(options.address) not in ipaddress.ip_network("127.0.0.0/8"):
            raise ValueError(f"{options.address} is not a loopback address (127.0.0.0/8)")
        manifest = json.loads(options.manifest.read_text(encoding="utf-8"))
        if not options.library.is_file():
            raise FileNotFoundError(f"there is no library {options.library}")
        # A server that nothing refers to is stopped.
        server = serve(Board(manifest, options.library, options.fault), options.address)
    except Exception as error:  # noqa: BLE001 (a command line says it in one line)
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

    # A kernel that hangs must not keep the process, so it ends without waiting for threads.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("READY", flush=True)
    os.dup2(2, 1)  # what the C-simulation prints must not fill a pipe that nobody reads
    waiter = threading.Thread(target=_end_with_input, daemon=True)
    waiter.start()
    waiter.join()
    del server


def _end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()

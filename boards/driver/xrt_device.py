"""How the driver reaches an Alveo card or a Versal board: through XRT's Python module `pyxrt`.

XRT knows the register map from the .xclbin, so only the order of the arguments is used here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DeviceError


class Buffer:
    """A buffer object of XRT in the memory bank of one argument, and its copy in the host's memory."""

    def __init__(self, pyxrt: Any, device: Any, size: int, group: int) -> None:
        """Allocates it."""
        self._pyxrt = pyxrt
        self._size = size
        self._whole = pyxrt.bo(device, size, pyxrt.bo.normal, group)
        self.bytes: np.ndarray[Any, Any] = np.frombuffer(self._whole.map(), np.uint8)
        self._parts: dict[int, Any] = {}

    def to_device(self) -> None:
        """Makes the card see what was written here."""
        self._whole.sync(self._pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, self._size, 0)

    def from_device(self) -> None:
        """Makes what the card has written visible here."""
        self._whole.sync(self._pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE, self._size, 0)

    def part(self, offset: int) -> Any:
        """The buffer object that starts at an offset, a multiple of the alignment."""
        if offset == 0:
            return self._whole
        if offset not in self._parts:
            self._parts[offset] = self._pyxrt.bo(self._whole, self._size - offset, offset)
        return self._parts[offset]

    def free(self) -> None:
        """Gives the memory back: XRT does when nothing refers to it."""
        self.bytes = np.zeros(0, np.uint8)
        self._parts.clear()
        self._whole = None


class Device:
    """One .xclbin on one card, and its kernel."""

    alignment = 4096
    """Samples start at multiples of this: XRT wants it of parts of buffers."""
    reads_registers = False
    """`pyxrt` can read no registers of a kernel since XRT 2.15 (Xilinx/XRT issue 7863)."""
    loading_frees_kernel = False
    """XRT keeps an .xclbin that is loaded already; a stuck kernel needs a reset of the card."""

    def __init__(self, bitstream: Path, manifest: dict[str, Any], which: Any) -> None:
        """Loads the .xclbin and opens the kernel.

        Args:
            bitstream: The .xclbin file.
            manifest: The manifest of the design.
            which: None, the number of a card, its address on the PCIe bus, or a `pyxrt.device`.

        Raises:
            DeviceError: If XRT is not there, or the card refuses.
        """
        try:
            import pyxrt
        except ImportError as error:
            raise DeviceError(
                f"pyxrt cannot be imported by {sys.executable}: {error}. Source /opt/xilinx/xrt/setup.sh, and use the "
                "Python that XRT was built for"
            ) from error
        self._pyxrt = pyxrt
        self._indices = {argument["name"]: i for i, argument in enumerate(manifest["arguments"])}
        self._bitstream = bitstream
        try:
            known = which is None or isinstance(which, int | str)
            self._device = pyxrt.device(0 if which is None else which) if known else which
            self._uuid = self._device.load_xclbin(str(bitstream))
            self._kernel = pyxrt.kernel(self._device, self._uuid, manifest["kernel"], pyxrt.kernel.exclusive)
        except Exception as error:
            raise DeviceError(f"cannot load {bitstream}: {error}") from error

    def allocate(self, name: str, size: int) -> Buffer:
        """Allocates memory for an argument, in the bank that the argument is linked to."""
        return Buffer(self._pyxrt, self._device, size, self._kernel.group_id(self._indices[name]))

    def check(self) -> None:
        """Raises DeviceError if another .xclbin has taken the place of this one."""
        if self._device.get_xclbin_uuid().to_string() != self._uuid.to_string():
            raise DeviceError(
                f"another .xclbin was loaded over {self._bitstream.name}: make a new Accelerator"
            )

    def launch(self, values: dict[str, Any], timeout_s: float) -> str:
        """Runs the kernel once.

        Args:
            values: By argument, an int, or for pointers a buffer and an offset in it.
            timeout_s: How long to wait.

        Returns:
            An empty text, or the state that XRT gives after the time has run out.
        """
        run = self._pyxrt.run(self._kernel)
        for name, value in values.items():
            run.set_arg(self._indices[name], value if isinstance(value, int) else value[0].part(value[1]))
        run.start()
        # 0 would wait for ever.
        state = run.wait(max(1, round(timeout_s * 1000)))
        if state == self._pyxrt.ert_cmd_state.ERT_CMD_STATE_COMPLETED:
            return ""
        return (
            f"XRT says {str(state).rpartition('.')[2]}: give a longer timeout_s; if that does not help the kernel is stuck: "
            "check `xrt-smi examine` and the FIFO depths in C-simulation, then reset the card (`xrt-smi reset`)"
        )

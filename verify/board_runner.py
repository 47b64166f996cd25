"""Runs samples on a board, real or emulated, and collects every tensor that the hardware can show.

The driver is the copy in the project, unmodified, in a process of its own with the Python of the PYNQ client. For the
emulated board, a server with the C-simulation behind it is started on a loopback address and kept until `close`.
"""

from __future__ import annotations

import os
import random
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import intarsia.boards
from intarsia.boards import environment
from intarsia.boards.driver.arrays import save_arrays
from intarsia.boards.driver.manifest import read_manifest
from intarsia.boards.emulated_overlay import write_overlay
from intarsia.boards.emulated_xrt import write_xclbin
from intarsia.errors import IntarsiaError

if TYPE_CHECKING:
    from typing import Self

EMULATED = "emulated"
EMULATED_NAME = "emulated board"
START_TIMEOUT_S = 60.0
# PYNQ keeps the state of a board beside its own files, where two clients at once would read each other's. The driver
# is given a folder of its own for it before it runs.
LAUNCHER = """
import runpy, sys
import pynq.pl_server.global_state as state
state.STATE_DIR = sys.argv.pop(1)
sys.argv.pop(0)
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# A card of XRT is emulated in the process of the driver, which finds it under the name of XRT's module.
XRT_LAUNCHER = """
import importlib, runpy, sys
sys.modules["pyxrt"] = importlib.import_module("intarsia.boards.emulated_xrt")
sys.argv.pop(0)
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class BoardRunError(IntarsiaError):
    """The board could not run the samples; says nothing about whether its results are right."""


class EmulatedServer:
    """An emulated board as a process, from its start to `close`."""

    def __init__(self, python: Path, manifest: Path, library: Path, folder: Path, fault: str = "") -> None:
        """Starts the server and waits until it listens.

        Args:
            python: The Python of the PYNQ client.
            manifest: The manifest of the design.
            library: The shared library of the C-simulation.
            folder: A temporary folder, for the log and the emulated bitstream.
            fault: A fault to show, as KIND:NUMBER (boards/emulated_faults.py); none by default.

        Raises:
            BoardRunError: If it does not start.
        """
        self.bitstream = write_overlay(_manifest(manifest), folder)
        self._log_file = folder / "server.log"
        script = Path(intarsia.boards.__file__).with_name("emulated_board.py")
        command = [str(python), str(script), "--manifest", str(manifest), "--library", str(library.resolve())]
        command += ["--fault", fault] if fault else []
        for _ in range(5):
            # The port is fixed in PYNQ, so each emulated board takes an address of its own; two may meet by chance.
            self.address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
            with self._log_file.open("wb") as log:
                self.process = subprocess.Popen(
                    [*command, "--address", self.address],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            if self._says_ready():
                return
            self.process.kill()
            self.close()
            if "bind" not in self._log():
                break
        raise BoardRunError(
            f"the emulated board did not start: {_last_error(self._log()) or 'it gave no message'}"
        )

    def close(self) -> None:
        """Ends the server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def epitaph(self) -> str:
        """What became of the server, if it ended by itself: a crash of the C-simulation takes it along."""
        try:
            code = self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return ""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        text = _last_error(self._log())
        return f"the emulated board {how}" + (f"; its last words: {text}" if text else "")

    def _log(self) -> str:
        return self._log_file.read_text(errors="replace")

    def _says_ready(self) -> bool:
        """Waits for the line READY; a server that ends or stays silent does not say it."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return bool(selector.select(START_TIMEOUT_S)) and self.process.stdout.readline() == b"READY\n"


class BoardRunner:
    """Maps raw inputs to the trace of a board."""

    def __init__(
        self,
        project: Path,
        library: Path | None = None,
        address: str = EMULATED,
        *,
        bitstream: Path | None = None,
        timeout_s: float = 600.0,
        launch_timeout_s: float = 30.0,
    ) -> None:
        """Finds the files; nothing is started before the first `trace`.

        Args:
            project: The project folder, with `deploy/` in it.
            library: The shared library of the C-simulation, for the emulated board.
            address: "emulated", or the host name or address of a board with PYNQ.remote.
            bitstream: The .bit file for a real board; by default `deploy/<name>.bit`.
            timeout_s: How long one call of `trace` may take.
            launch_timeout_s: How long the kernel may take for one sample.

        Raises:
            BoardRunError: If the project, the library or the bitstream is not there.
            BoardClientError: If there is no Python with the PYNQ client.
        """
        self.name = EMULATED_NAME if address == EMULATED else f"board {address}"
        self._deploy = project.resolve() / "deploy"
        self._address = address
        self._library = library if address == EMULATED else None
        self._timeout_s = timeout_s
        self._launch_timeout_s = launch_timeout_s
        self._manifest = _manifest(self._deploy / "manifest.json")
        self._bitstream = bitstream.resolve() if bitstream else self._deploy / f"{self._manifest['name']}.bit"
        for driver in (self._deploy / "accelerator.py", self._deploy / "intarsia_driver"):
            if not driver.exists():
                raise BoardRunError(f"there is no driver {driver}: compile the project again")
        self._xrt = self._manifest.get("runtime") == "xrt"
        if self._xrt and address != EMULATED:
            raise BoardRunError(
                f"board '{self._manifest['board']}' is driven by XRT, which cannot be reached over the network: verify a "
                "trace (--trace) that accelerator.py --taps wrote beside the card, or the emulated card (--board emulated)"
            )
        if address == EMULATED and (library is None or not library.is_file()):
            raise BoardRunError(
                f"the emulated board needs the library of the C-simulation; there is no file {library}"
            )
        if address != EMULATED and not self._bitstream.is_file():
            raise BoardRunError(
                f"there is no bitstream {self._bitstream}: build it with Vivado (README.md of the project)"
            )
        self._python = Path(sys.executable) if self._xrt else environment.find()
        self._folder = tempfile.TemporaryDirectory(prefix="intarsia-board-")
        self._server: EmulatedServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the emulated board, if there is one, and removes the temporary files."""
        self._end_server()
        self._folder.cleanup()

    def _end_server(self) -> None:
        if self._server:
            self._server.close()
        self._server = None

    def trace(self, inputs: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Runs samples and returns the outputs and every tapped tensor.

        Args:
            inputs: The raw integers of each input tensor, with the samples along the first axis.

        Returns:
            The raw integers of each tensor as int64, with the samples along the first axis.

        Raises:
            BoardRunError: If the board could not run them; the message says why.
        """
        folder = Path(self._folder.name)
        if self._xrt and self._library is not None:
            self._bitstream = write_xclbin(self._deploy / "manifest.json", self._library, folder)
        elif self._library is not None and self._server is None:
            self._server = EmulatedServer(self._python, self._deploy / "manifest.json", self._library, folder)
            self._bitstream = self._server.bitstream
        elif self._server is not None and self._server.process.poll() is not None:
            died = self._server.epitaph()
            self._end_server()
            raise BoardRunError(died)
        given, taken = folder / "inputs.npz", folder / "outputs.npz"
        save_arrays(given, inputs)
        taken.unlink(missing_ok=True)
        try:
            done = subprocess.run(
                self._command(given, taken),
                env=self._environment(),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            self._end_server()
            raise BoardRunError(f"{self.name}: no result in {self._timeout_s:g} s") from error
        if done.returncode or not taken.is_file():
            reason = (
                _last_error(done.stderr) or f"the driver ended with code {done.returncode} without a message"
            )
            died = self._server.epitaph() if self._server else ""
            if died:
                reason += f"; {died}"
            elif self._address != EMULATED and "Failed to connect" in reason:
                reason += f". Is the board on, and does PYNQ.remote answer at {self._address}, port 7967?"
            self._end_server()  # a stuck kernel would go on for ever
            raise BoardRunError(f"{self.name}: {reason}")
        with np.load(taken) as archive:
            return {name: archive[name].astype(np.int64) for name in archive.files if name not in inputs}

    def _command(self, given: Path, taken: Path) -> list[str]:
        # A new folder each time, or PYNQ would take its cache for this design.
        pynq = [LAUNCHER, tempfile.mkdtemp(dir=self._folder.name)]
        launcher = [XRT_LAUNCHER] if self._xrt else pynq
        options = {
            "--bitstream": self._bitstream,
            "--manifest": self._deploy / "manifest.json",
            "--inputs": given,
            "--outputs": taken,
            "--timeout": self._launch_timeout_s,
        }
        pairs = [str(part) for option in options.items() for part in option]
        return [
            str(self._python),
            "-c",
            *launcher,
            str(self._deploy / "accelerator.py"),
            "--taps",
            *pairs,
        ]

    def _environment(self) -> dict[str, str]:
        variables = dict(os.environ)
        if not self._xrt:
            variables["PYNQ_REMOTE_DEVICES"] = self._server.address if self._server else self._address
        variables |= {"GRPC_VERBOSITY": "NONE", "PYTHONWARNINGS": "ignore"}
        if self._server:  # loopback is never behind a proxy
            for name in ("grpc_proxy", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
                variables.pop(name, None)
        return variables


def _manifest(path: Path) -> dict[str, Any]:
    try:
        return read_manifest(path)
    except Exception as error:
        raise BoardRunError(f"{error}") from error


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    marked = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (marked or lines or [""])[-1]

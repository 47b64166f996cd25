"""What tests do with an emulated board: send samples, run a user's script, break the board or the driver."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.verify.board_runner import LAUNCHER, EmulatedServer

Array = np.ndarray[Any, Any]


def images(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-60, 60, (count, 3, 2, 2)).astype(np.int8)


@contextmanager
def faulty(python: Path, project: Path, library: Path, fault: str) -> Iterator[EmulatedServer]:
    """A server that shows a fault."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = project / "deploy" / "manifest.json"
        server = EmulatedServer(python, manifest, library, Path(folder), fault)
        try:
            yield server
        finally:
            server.process.kill()
            server.close()


def run_client(
    python: Path, server: EmulatedServer, project: Path, script: str, kept_state: Path | None = None
) -> str:
    """Runs a script as a user of the board does, and returns what it prints; PYNQ starts afresh unless its state is kept."""
    path = project / "script.py"
    path.write_text(f"BITSTREAM = {str(server.bitstream)!r}\nMANIFEST = 'deploy/manifest.json'\n{script}")
    variables = os.environ | {"PYNQ_REMOTE_DEVICES": server.address, "PYTHONPATH": str(project / "deploy")}
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(
            [str(python), "-W", "ignore", "-c", LAUNCHER, str(kept_state or state), str(path)],
            cwd=project,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def edit_driver(project: Path, old: str, new: str) -> None:
    """Changes the driver, in whichever of its files the text is."""
    edited = 0
    for path in (project / "deploy" / "intarsia_driver").glob("*.py"):
        text = path.read_text()
        path.write_text(text.replace(old, new))
        edited += old in text
    assert edited == 1


def assert_traces_equal(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == np.int64


START = """
import time
import numpy as np
import accelerator
from accelerator import Accelerator, AcceleratorError
x = np.arange(36, dtype=np.int8).reshape(3, 3, 2, 2)
wanted = x + np.array([1, 2, 3]).reshape(1, 3, 1, 1)
def error_of(call, *arguments):
    start = time.monotonic()
    try:
        call(*arguments)
    except AcceleratorError as error:
        return str(error), time.monotonic() - start
    raise AssertionError("no error")
"""
"""Begins scripts: three samples, what the kernel makes of them, and the error of a call with the seconds until it came."""

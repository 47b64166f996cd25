"""Boards that hang, drop the connection or answer with garbage: a verdict within the timeout, and exit code 2."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_faults import replace_once
from typer.testing import CliRunner

from intarsia.__main__ import app
from intarsia.boards import environment
from intarsia.boards.emulated_overlay import write_overlay

PORT = 7967
TIMEOUT_S = 8


@pytest.fixture(autouse=True)
def client() -> None:
    try:
        environment.find()
    except environment.BoardClientError as error:
        pytest.skip(str(error))


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def dropping(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(16)


def garbage(connection: socket.socket, over: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not over.is_set():
            connection.sendall(bytes(range(256)) * 16)
            time.sleep(0.01)


@contextlib.contextmanager
def board(address: str, behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[None]:
    """Something that listens where PYNQ.remote would, but is none."""
    over = threading.Event()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen()

        def serve(connection: socket.socket) -> None:
            with connection:
                behave(connection, over)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("behave", [silent, dropping, garbage])
def test_a_board_that_is_none(
    lenet_project: Path, behave: Callable[[socket.socket, threading.Event], None]
) -> None:
    manifest = json.loads((lenet_project / "deploy" / "manifest.json").read_text())
    write_overlay(manifest, lenet_project / "deploy")
    address = f"127.77.{1 + ['silent', 'dropping', 'garbage'].index(behave.__name__)}.9"
    arguments = ["verify", lenet_project, "--board", address, "--samples", 2, "--timeout", TIMEOUT_S]
    start = time.monotonic()
    with board(address, behave):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 2 and "error: " in done.output and "Traceback" not in done.output, done.output
    assert address in done.output
    assert time.monotonic() - start < TIMEOUT_S + 30


def test_an_emulated_board_that_hangs_is_timed_out(lenet_project: Path) -> None:
    """Its driver never sees the kernel finish."""
    line = "        start = time.monotonic()\n        while True:\n            control ="
    replace_once(
        lenet_project / "deploy" / "intarsia_driver" / "pynq_device.py",
        line,
        f"        time.sleep(999)\n{line}",
    )
    start = time.monotonic()
    done = CliRunner().invoke(app, ["verify", str(lenet_project), "--samples", "2", "--timeout", "6"])
    assert done.exit_code == 2 and "no result in 6 s" in done.output, done.output
    assert time.monotonic() - start < 60


def test_an_edited_directory_is_said(lenet_project: Path) -> None:
    """Also where all worlds still agree."""
    (lenet_project / "report.html").write_text("edited")
    done = CliRunner().invoke(app, ["verify", str(lenet_project), "--board", "none", "--samples", "2"])
    assert done.exit_code == 0 and "report.html was changed after compilation" in " ".join(
        done.output.split()
    )

"""The Python that holds the PYNQ client.

PYNQ needs an older NumPy than the rest of intarsia, so its client lives in an environment of its own. In this order:
the interpreter named by INTARSIA_BOARD_PYTHON, the running interpreter if it has PYNQ, the environment that `create`
has made in the cache folder of the user.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from intarsia.errors import IntarsiaError

VARIABLE = "INTARSIA_BOARD_PYTHON"
REQUIREMENT = "pynq>=4,<5"
NEWEST_PYTHON = (3, 12)  # pynq 4.0 needs numpy<2 and grpcio 1.64, which have no wheels for later versions
IMPORTS = "import numpy, grpc, google.protobuf, pynq, pynq.remote.mmio_pb2_grpc; print(pynq.__version__)"


class BoardClientError(IntarsiaError):
    """There is no Python with a PYNQ client, or it does not work."""


def find() -> Path:
    """Finds the Python of the PYNQ client.

    Raises:
        BoardClientError: If there is none; the message says how to get one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = shutil.which(named)
        if path is None:
            raise BoardClientError(f"{VARIABLE} names '{named}', which is no program that can be run")
        _check(Path(path), f"{VARIABLE}={named}")
        return Path(path)
    if importlib.util.find_spec("pynq") is not None:
        _check(Path(sys.executable), "the running Python")
        return Path(sys.executable)
    if is_created():
        return _python(folder())
    raise BoardClientError(
        f"there is no Python with the PYNQ client: run `intarsia setup-board` (about a minute, into {folder()}), "
        f"or let {VARIABLE} name one"
    )


def folder() -> Path:
    """The folder of the environment that `create` makes."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "intarsia" / "board-client"


def is_created() -> bool:
    """Says whether `create` has finished, for the requirement of this version."""
    stamp = folder() / "intarsia-stamp"
    return stamp.is_file() and stamp.read_text() == REQUIREMENT and _python(folder()).exists()


def create() -> Path:
    """Makes the environment of the PYNQ client, if it is not there yet.

    The stamp is written last, so an environment without a stamp is one that was interrupted, and is made again. A
    lock lets processes that call this at the same time wait for the first.

    Returns:
        The Python of the environment.

    Raises:
        BoardClientError: If it cannot be made.
    """
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "board-client.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_created():
            shutil.rmtree(target, ignore_errors=True)
            _run([_base_python(), "-m", "venv", str(target)])
            pip = [str(_python(target)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, REQUIREMENT], {"PYNQ_REMOTE": "1"})
            _check(_python(target), str(target))
            (target / "intarsia-stamp").write_text(REQUIREMENT)
    return _python(target)


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _base_python() -> str:
    if sys.version_info[:2] <= NEWEST_PYTHON:
        return sys.executable
    for minor in range(NEWEST_PYTHON[1], 9, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    newest = ".".join(map(str, NEWEST_PYTHON))
    raise BoardClientError(
        f"the PYNQ client needs Python {newest} or older, and this is {sys.version.split()[0]}: install "
        f"python{newest} with venv, then run `intarsia setup-board` again"
    )


def _run(command: list[str], variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=os.environ | (variables or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise BoardClientError(
            f"cannot make the environment of the PYNQ client: `{' '.join(command)}` failed:\n{tail}"
        )


@cache
def _check(python: Path, origin: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "PYNQ_REMOTE_DEVICES"}
    done = subprocess.run(
        [str(python), "-c", IMPORTS], env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it failed without a message"])[-1]
        raise BoardClientError(
            f"the PYNQ client of {origin} does not work: {last}. Install '{REQUIREMENT}' there with PYNQ_REMOTE=1, or "
            "run `intarsia setup-board`"
        )
    major = done.stdout.strip().splitlines()[-1].split(".")[0]
    if major.isdigit() and int(major) < 4:
        raise BoardClientError(
            f"{origin} has pynq {done.stdout.strip()}; '{REQUIREMENT}' is needed for remote boards"
        )

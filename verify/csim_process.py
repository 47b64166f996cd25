"""The C-simulation in a process of its own: sources that crash or hang, as edited ones may, end that process alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Self

from intarsia.fixed_point import Integers
from intarsia.operator import Array

from .csim_runner import CsimRunner, SimulationError, parts_of
from .project_files import changed_files

_SERVE = "import sys; from intarsia.verify.csim_process import serve; serve(int(sys.argv[1]))"


class CsimProcess:
    """A `CsimRunner` behind a pipe. `fault` is that of the program, as far as it has run."""

    name = "csim"

    def __init__(self, project: Path, timeout_s: float) -> None:
        """Compile the sources of a project, unless they are compiled already, and start the process that will load them.

        Args:
            project: the project directory.
            timeout_s: how long a batch may take.

        Raises:
            BuildError: the sources do not compile.
            SimulationError: the project is incomplete.
        """
        parts = parts_of(project)
        self.library: Path = parts[1]
        self._project = project
        self.fault = ""
        self._timeout_s = timeout_s
        self._pipe, theirs = Pipe()
        places = os.pathsep.join(place for place in sys.path if place)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,  # its end is that of this process, however that ends
            env={**os.environ, "PYTHONPATH": places},
            start_new_session=True,  # an interrupt from the keyboard is for this process
        )
        theirs.close()
        self._pipe.send(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def trace(self, inputs: Mapping[str, Array]) -> dict[str, Integers]:
        """Raw integers of the outputs and of every task's result, for inputs of shape (samples, *tensor shape[1:]).

        Raises:
            SimulationError: library, weights and manifest do not belong together, an input does not fit, or the sources
                crash or hang.
        """
        try:
            self._pipe.send(dict(inputs))
            if not self._pipe.poll(self._timeout_s):
                raise SimulationError(
                    f"the C-simulation of a batch has not ended after {self._timeout_s:g} s: a loop in the project's src/ does "
                    "not end, or there is much to do: then raise --timeout"
                )
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise SimulationError(self._how_it_ended()) from error
        if isinstance(answer, SimulationError):
            raise answer
        result, self.fault = answer
        found: dict[str, Integers] = result
        return found

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.communicate()

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        changed = "".join(f"; {remark}" for remark in changed_files(self._project)[:1])
        return (
            f"the C-simulation crashed ({by}): the sources in {self._project / 'src'} reach beyond their memories, or divide "
            f"by zero{changed}. Undo the change, or compile the project again"
        )


def serve(pipe: int) -> None:
    """Answer one request after the other until the pipe, given by its number, is closed: first parts of a runner, then inputs."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection = Connection(pipe)
    try:
        parts = connection.recv()
        runner: CsimRunner | None = None
        while True:
            inputs = connection.recv()
            try:
                runner = runner or CsimRunner(*parts)
                connection.send((runner.trace(inputs), runner.fault))
            except SimulationError as error:
                connection.send(error)
    except EOFError:
        return


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)

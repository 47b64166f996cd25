"""A world in a file, and worlds that are written to one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .runner import Array, Runner, fault_of
from .trace_file import TraceError, TraceFile, TraceWriter


@dataclass(frozen=True, eq=False)
class RecordedRunner:
    """A trace that was recorded: of a real board, of co-simulation, of anything that speaks the project's tensors.

    It answers in the order of the file, and cannot run other inputs than those it was made from.
    """

    file: TraceFile
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name, and the world it says it comes from."""
        of = f" of {self.file.about.world}" if self.file.about.world else ""
        return f"trace {self.file.path.name}{of}"

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """The next samples of the file.

        Raises:
            TraceError: the file holds other inputs, fewer samples, or values outside the formats.
        """
        start = self.file.done
        found = self.file.read(len(next(iter(inputs.values()))))
        for name in self.inputs:
            recorded = found.pop(name, None)
            if recorded is None:
                continue
            if (differ := (recorded != inputs[name]).reshape(len(recorded), -1).any(axis=1)).any():
                raise TraceError(
                    f"{self.file.path} was made from other inputs: {name!r} differs in sample "
                    f"{start + int(np.argmax(differ))}"
                )
        return found


@dataclass(frozen=True, eq=False)
class RecordingRunner:
    """A world whose traces are written to a file as they come, with the inputs."""

    runner: Runner
    writer: TraceWriter
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the world."""
        return self.runner.name

    @property
    def fault(self) -> str:
        """What the world says of its program."""
        return fault_of(self.runner)

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """What the world gives."""
        found = dict(self.runner.trace(inputs))
        given = {name: np.asarray(inputs[name]) for name in self.inputs}
        self.writer.add(given | {name: values for name, values in found.items() if name not in given})
        return found

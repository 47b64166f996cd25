"""Worlds of the user's own: a Python file that says which place in the chain its runner takes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.errors import IntarsiaError
from intarsia.task_graph import TaskGraph

from .runner import Array, Runner
from .worlds import World

PLACES = (World.FLOAT, World.QUANTISED, World.CSIM, World.BOARD)


class RunnerError(IntarsiaError):
    """A runner could not be loaded, failed, or gave no trace; says nothing about whether its world is right."""


@dataclass(frozen=True, eq=False)
class GuardedRunner:
    """A user's runner, whose faults become errors in one line, and whose arrays are checked.

    Arrays may be without the batch axis of 1, as users have them: (samples, *shape[1:]).
    """

    runner: Runner
    world: World
    graph: TaskGraph

    @property
    def name(self) -> str:
        """Name of the world."""
        return self.runner.name

    def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Checked tensors of shape (samples, *tensor shape): float64 for the float world, else int64.

        Raises:
            RunnerError: the runner raised, or a tensor is unknown, or has the wrong shape or type.
        """
        try:
            found = self.runner.trace(inputs)
        except IntarsiaError:
            raise
        except Exception as error:  # a user's code raises anything
            raise RunnerError(f"runner {self.name} failed: {type(error).__name__}: {error}") from error
        if not isinstance(found, Mapping):
            raise RunnerError(
                f"runner {self.name} must give a mapping of tensor names to arrays, not {type(found).__name__}"
            )
        samples = len(next(iter(inputs.values())))
        return {str(name): self._checked(str(name), values, samples) for name, values in found.items()}

    def _checked(self, name: str, values: Any, samples: int) -> Array:
        if name not in self.graph.tensors:
            raise RunnerError(
                f"runner {self.name} gives tensor {name!r}, which the project does not have. Its tensors are "
                f"{', '.join(self.graph.tensors)}"
            )
        array, shape = np.asarray(values), self.graph.tensors[name].shape
        if array.shape not in ((samples, *shape), (samples, *shape[1:])):
            raise RunnerError(
                f"runner {self.name}: tensor {name!r} has shape {array.shape}, it must be {(samples, *shape[1:])}"
            )
        if array.dtype.kind not in ("fiu" if self.world is World.FLOAT else "iu"):
            wanted = "real values" if self.world is World.FLOAT else "raw integers"
            raise RunnerError(f"runner {self.name}: tensor {name!r} is {array.dtype}; {wanted} are wanted")
        kind = np.float64 if self.world is World.FLOAT else np.int64
        return array.astype(kind).reshape(samples, *shape)


def load_runner(path: Path, project: Path, graph: TaskGraph) -> tuple[World, Runner]:
    """The world and the runner of a Python file.

    The file has `WORLD`, one of "float", "quantised", "csim" and "board": the place that its runner takes; and
    `runner(project, graph)`, which makes it (see `intarsia.verify.Runner`).

    Raises:
        RunnerError: the file cannot be run, or lacks one of the two.
    """
    module = load_module(path)
    try:
        world = World(module.WORLD)
        make: Callable[[Path, TaskGraph], Runner] = module.runner
    except (AttributeError, ValueError) as error:
        raise RunnerError(
            f"{path} must define WORLD (one of {', '.join(PLACES)}) and runner(project, graph): {error}"
        ) from error
    if world not in PLACES:
        raise RunnerError(f"{path}: WORLD must be one of {', '.join(PLACES)}, not {world}")
    try:
        runner = make(project, graph)
    except Exception as error:  # a user's code raises anything
        raise RunnerError(f"{path}: runner(...) failed: {type(error).__name__}: {error}") from error
    if not callable(getattr(runner, "trace", None)) or not isinstance(getattr(runner, "name", None), str):
        raise RunnerError(f"{path}: what runner(...) gives has no `name` or no `trace(inputs)`")
    return world, runner


def load_function(reference: str) -> Callable[..., Any]:
    """The function of FILE.py:NAME.

    Raises:
        RunnerError: there is no such file or function.
    """
    path, _, name = reference.rpartition(":")
    if not path:
        raise RunnerError(f"{reference!r} must be FILE.py:FUNCTION")
    function = getattr(load_module(Path(path)), name, None)
    if not callable(function):
        raise RunnerError(f"{path} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def load_module(path: Path) -> Any:
    """A Python file as a module, which is not entered among the others.

    Raises:
        RunnerError: the file is not there, or fails.
    """
    if not path.is_file():
        raise RunnerError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RunnerError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's code raises anything
        raise RunnerError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module

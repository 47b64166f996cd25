"""What a world is to the verifier: something that maps a batch of inputs to the tensors it computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from numpy.typing import NDArray

Array = NDArray[Any]


class Runner(Protocol):
    """One world: the float model, ONNX Runtime, the golden, the C-simulation or a board.

    A tensor that the world does not show is absent from the trace; the verifier reports it as not observed.
    """

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def trace(self, inputs: dict[str, Array], /) -> Mapping[str, Array]:
        """Tensors by name, of shape (samples, *tensor shape).

        Args:
            inputs: graph inputs of shape (samples, *tensor shape): raw integers (int64), but real values for
                the float model. The trace is of the same kind.
        """
        ...


def fault_of(runner: Runner | None) -> str:
    """What is wrong with the program that a world runs, if there is one and it can tell; an empty text otherwise."""
    text: str = getattr(runner, "fault", "")
    return text


class Isolated(NamedTuple):
    """What a world makes of each task's inputs in another world's trace; arrays of shape (samples, *tensor shape).

    `unrounded` holds the results before rounding, in steps of the tensor, of tasks with an `Operator.real_error`.
    """

    raw: Mapping[str, Array]
    unrounded: Mapping[str, Array]


@runtime_checkable
class Isolating(Protocol):
    """A world that can start from any tensor, and so can judge each task of another one."""

    def isolated(self, trace: Mapping[str, Array], /) -> Isolated:
        """Each task's result for its inputs in another world's trace of raw integers."""
        ...

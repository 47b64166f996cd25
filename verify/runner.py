"""What a world is to the verifier: something that maps a batch of inputs to the tensors it computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

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

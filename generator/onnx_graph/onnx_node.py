"""One node of a normalised ONNX model, as operators see it in `from_onnx`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import IntarsiaError
from ..fixed_point import Floats
from ..task_graph import UNBOUNDED, Parameter, Task, Tensor

if TYPE_CHECKING:
    from ..operator import Operator


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant operand: an initializer, or the folded result of constant nodes."""

    name: str
    values: NDArray[Any]


Operand = Tensor | Constant | None
"""What a node reads: a computed tensor, a constant, or nothing (an optional input that was left out)."""


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """A node with its operands at hand. `outputs` keeps empty names of optional outputs that nobody asked for."""

    name: str
    op_type: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: tuple[Operand, ...]
    outputs: tuple[str, ...]
    output_shape: tuple[int, ...]

    def error(self, problem: str) -> IntarsiaError:
        """The problem, with where it is."""
        return IntarsiaError(f"{self.op_type} node {self.name!r}: {problem}")

    def require(self, condition: bool, problem: str) -> None:
        """Raise `error(problem)` unless the condition holds."""
        if not condition:
            raise self.error(problem)

    def operand(self, index: int) -> Operand:
        """Input `index`, or None where it was left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def tensor(self, index: int = 0) -> Tensor:
        """Input `index`, which must be computed from the model's input."""
        operand = self.operand(index)
        if not isinstance(operand, Tensor):
            raise self.error(
                f"input {index} must be computed from the model's input, but is "
                f"{f'{operand.name!r}, a constant' if operand else 'missing'}. Export the model again"
            )
        return operand

    def image(self) -> Tensor:
        """Input 0, which must be a batch of images or of signals."""
        x = self.tensor()
        if len(x.shape) not in (3, 4):
            raise self.error(
                f"input {x.name!r} has shape {x.shape}. Supported: two-dimensional images, that is "
                "(batch, channels, height, width), and signals, (batch, channels, length)"
            )
        return x

    def constant(self, index: int) -> NDArray[Any] | None:
        """Input `index`, which must be constant; None where it was left out."""
        operand = self.operand(index)
        if operand is None:
            return None
        if isinstance(operand, Constant):
            return operand.values
        raise self.error(
            f"input {index}, {operand.name!r}, is computed. Supported: a constant (an initializer)"
        )

    def numbers(self, index: int) -> Floats | None:
        """Input `index` as finite real constants; None where it was left out."""
        values = self.constant(index)
        if values is None:
            return None
        with np.errstate(invalid="ignore"):  # NaN is refused below, whatever its bits
            reals = np.asarray(values, dtype=np.float64)
        if not (finite := np.isfinite(reals)).all():
            operand = self.operand(index)
            name = operand.name if operand else ""
            where = tuple(int(axis) for axis in np.argwhere(~finite)[0])
            raise self.error(
                f"{name!r} holds NaN or infinity, {int((~finite).sum())} of {reals.size} values, the first at index "
                f"{where}. Supported: finite numbers. Train or export the model again"
            )
        return reals

    def weights(self, index: int) -> Floats:
        """Input `index` as finite real constants, which must be there."""
        values = self.numbers(index)
        if values is None:
            raise self.error(
                f"input {index} is missing. Supported: a constant (an initializer). Export the model again"
            )
        operand = self.operand(index)
        self.require(
            values.size > 0,
            f"{operand.name if operand else ''!r} of shape {values.shape} is empty. Supported: at least one value. Train "
            "or export the model again",
        )
        return values

    def pair(self, attribute: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """An attribute of positive integers, one per axis of an image, or of a signal, whose height is 1."""
        if (given := self.attributes.get(attribute)) is None and default is not None:
            return default
        values = tuple(given or ())
        axes = len(self.tensor().shape) - 2
        if len(values) != axes or min(values) < 1:
            number = "two positive integers" if axes == 2 else "one positive integer"
            raise self.error(f"{attribute} is {list(values)}. Supported: {number}")
        return (values[0], values[1]) if axes == 2 else (1, values[0])

    def task(
        self,
        operator: Operator,
        parameters: Mapping[str, Floats] | None = None,
        clamp: tuple[float, float] = UNBOUNDED,
        sources: tuple[int, ...] = (0,),
    ) -> Task:
        """The node as a task of its computed operands, the inputs numbered `sources`."""
        return Task(
            name=self.name,
            operator=operator,
            inputs=tuple(self.tensor(source).name for source in sources),
            output=self.outputs[0],
            parameters={role: Parameter(values) for role, values in (parameters or {}).items()},
            clamp=clamp,
            onnx_nodes=(self.name,),
        )

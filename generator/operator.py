"""What an operator is: one frozen class per file in ops/, with pure methods only.

An operator gives its exact result without rounding; division, rounding and clamping happen in one place for all
operators (arithmetic/requantisation.py). The same `accumulate` serves the float model: its arithmetic is generic in dtype.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from .work import Work

if TYPE_CHECKING:
    from .fixed_point import FixedPoint
    from .onnx_graph.onnx_node import OnnxNode
    from .qdq.model import QdqBuilder
    from .task_graph import Parameter, Task, TaskGraph, Tensor

Array = NDArray[Any]


class Operator:
    """Base of all operators. Subclasses are frozen dataclasses whose fields are the operator's attributes."""

    name: ClassVar[str]
    """Name in tables and reports, ONNX's where there is one."""
    weight_roles: ClassVar[tuple[str, ...]] = ()
    """Parameters that are quantised to weight bits; a parameter `bias` is quantised to the accumulator."""
    accumulates: ClassVar[bool] = True
    """False for operators whose raw results come from `evaluate`, not from rounding what `accumulate` gives."""
    lowering_tolerance: ClassVar[int] = 0
    """LSB by which the golden may differ from the QDQ model in ONNX Runtime, for the same input: a proven or measured bound
    of integer algorithms that are not exact; 0 for all others."""
    real_error: ClassVar[float] = 0.0
    """LSB within which the golden is of the real value before rounding, for the same input, where that is a closer bound
    than `lowering_tolerance`; 0 if none is stated."""
    homogeneous: ClassVar[bool] = False
    """True if inputs that are all multiplied by a positive factor give results multiplied by it."""
    onnx_types: ClassVar[tuple[str, ...]] = ()
    """ONNX operators that `from_onnx` reads."""
    transient: ClassVar[str] = ""
    """Not empty for operators without hardware, which a pass must remove: where the model may have them."""

    @classmethod
    def from_onnx(cls, node: OnnxNode) -> Task:
        """The task for a node of one of `onnx_types`; its operator may be of another class.

        Raises:
            IntarsiaError: the node asks for something that the operator does not do.
        """
        raise NotImplementedError

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """Shape and channel axis of the output.

        Raises:
            IntarsiaError: the shapes do not fit the operator.
        """
        raise NotImplementedError

    def accumulate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Exact result for inputs of shape (samples, *tensor shape), before division.

        Inputs and parameters are integers, as int64 or as whole floats that hold everything up to `accumulator_bound`, or
        real numbers; all of one type, in which the operator must stay. Integers are raw ones less their zero point.
        `bias`, where present, is in the accumulator's units and is included.
        """
        raise NotImplementedError

    def evaluate(self, inputs: Sequence[Array], parameters: Mapping[str, Array]) -> Array:
        """Raw output integers for raw inputs, clamp included; only where `accumulates` is False."""
        raise NotImplementedError

    def quantised_parameters(
        self, task: Task, inputs: Sequence[FixedPoint], output: FixedPoint
    ) -> Mapping[str, Parameter]:
        """What `evaluate` needs, for these formats of the task's tensors.

        Raises:
            IntarsiaError: the operator cannot work on these formats.
        """
        return {}

    @property
    def divisor(self) -> int:
        """What the accumulator is divided by."""
        return 1

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """Largest |accumulator| (before division), or step towards it, for raw inputs up to these magnitudes."""
        raise NotImplementedError

    def aligned(self, inputs: Sequence[FixedPoint], output: FixedPoint) -> Self:
        """The operator for raw operands of these formats; differs only where operands must share a unit."""
        return self

    def unit(self, inputs: Sequence[float]) -> float:
        """Value of the accumulator's unit, from the operands' scales; quantised weights multiply theirs."""
        return prod(inputs)

    def output_steps(self, inputs: Sequence[float], output: float) -> float:
        """The same unit in steps of the output."""
        return self.unit(inputs) / output

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Axis on which the hardware needs the channels of each operand; by default where they are."""
        return tuple(tensor.channel_axis for tensor in inputs)

    def tolerance(self, parameters: Mapping[str, Array]) -> int:
        """`lowering_tolerance` of a task with these quantised parameters."""
        return self.lowering_tolerance

    def keeps_format(self) -> bool:
        """True if the output must have the input's number format (the operator only selects values)."""
        return False

    def macs(self, task: Task, graph: TaskGraph) -> int:
        """Multiply-accumulate operations per sample; 0 for operators that do not multiply."""
        return 0

    def work(self, task: Task, graph: TaskGraph) -> Work:
        """What the hardware does: the unit kind and the geometry of its loops."""
        raise NotImplementedError

    def weights_by_position(self, task: Task, graph: TaskGraph) -> Array:
        """Weights of a mac task as (output channels, kernel positions or pixels of a patch, input channels)."""
        raise NotImplementedError

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """Append the operator's float nodes on dequantised operands; returns the float result's name."""
        raise NotImplementedError

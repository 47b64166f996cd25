"""What convolutions share, whatever channels they combine: geometry, bias, number of products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..errors import IntarsiaError
from ..operator import Array, Operator
from .sliding import image_shape, image_size, onnx_geometry, output_size

if TYPE_CHECKING:
    from ..qdq.model import QdqBuilder
    from ..task_graph import Task, TaskGraph, Tensor


@dataclass(frozen=True)
class Convolution(Operator):
    """Base of convolutions, over images or, with kernel height 1, over signals (1, channels, length).

    `pads` is (top, left, bottom, right). Parameter `weight` is (outputs, channels of a group, kernel height, kernel
    width), without the height for signals; `bias` is (outputs,).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    weight_roles: ClassVar[tuple[str, ...]] = ("weight",)

    def groups(self, channels: int) -> int:
        """Groups of channels that are convolved by themselves, of so many channels in all."""
        raise NotImplementedError

    def infer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Array]) -> tuple[tuple[int, ...], int]:
        """(1, outputs, out height, out width), channels on axis 1; without the height for signals."""
        shape = inputs[0].shape
        outputs, of_group, *_ = parameters["weight"].shape
        expected = of_group * self.groups(outputs)
        if shape[1] != expected:
            raise IntarsiaError(
                f"weight expects {expected} input channels, but {inputs[0].name!r} has {shape[1]}"
            )
        size = output_size(image_size(shape), self.kernel, self.stride, self.dilation, self.pads)
        return image_shape(shape, outputs, size), 1

    def channel_axes(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Windows slide over the axes behind the channels."""
        return (1,)

    def accumulator_bound(
        self, magnitudes: Sequence[int], parameters: Mapping[str, Array], inputs: Sequence[Tensor]
    ) -> int:
        """Sum of |weight| times the largest input, plus |bias|, over the worst output channel."""
        weight = parameters["weight"]
        bound = np.abs(weight.astype(np.int64)).reshape(weight.shape[0], -1).sum(axis=1) * magnitudes[0]
        if "bias" in parameters:
            bound = bound + np.abs(parameters["bias"])
        return int(bound.max())

    def macs(self, task: Task, graph: TaskGraph) -> int:
        """Weights times output pixels, wherever the channels are."""
        weight = task.parameters["weight"].values
        return int(weight.size) * (prod(graph.output_tensor(task).shape) // len(weight))

    def to_qdq(self, builder: QdqBuilder, task: Task, graph: TaskGraph) -> str:
        """One ONNX Conv."""
        operands = [builder.activation(task.inputs[0]), *builder.parameters(task, "weight", "bias")]
        shape = graph.input_tensors(task)[0].shape
        geometry = onnx_geometry(shape, self.kernel, self.stride, self.pads, self.dilation)
        if (groups := self.groups(shape[1])) > 1:
            geometry["group"] = groups
        return builder.node("Conv", operands, **geometry)

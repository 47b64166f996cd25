"""Circulant layers for PyTorch, for training loops of one's own: needs the extra `train`.

The parameter is `columns`, the first columns of the blocks; `weight` is the expanded dense weight, of which autograd knows
how it comes from the columns. To export, `to_dense` gives the ordinary layer: its weights are exactly circulant, and
`intarsia compile` recognises them.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..circulant.blocks import check_block, project, rescaled, rotation
from ..errors import IntarsiaError


def expand(columns: Tensor, outputs: int, inputs: int) -> Tensor:
    """Weights (outputs, inputs, positions) of first columns (block rows, block columns, K, positions)."""
    rows, across, block, positions = columns.shape
    turned = columns[:, :, torch.from_numpy(rotation(block)), :]
    return turned.permute(0, 2, 1, 3, 4).reshape(rows * block, across * block, positions)[:outputs, :inputs]


class _Circulant(nn.Module):
    """What both layers share: columns, bias, and their initial values."""

    def __init__(self, outputs: int, inputs: int, positions: int, block: int, bias: bool) -> None:
        super().__init__()
        check_block(block)
        if block > min(outputs, inputs):
            raise IntarsiaError(
                f"blocks of {block} do not fit a layer of {outputs} outputs and {inputs} inputs. "
                f"Supported: up to {min(outputs, inputs)}"
            )
        self.outputs, self.inputs, self.block = outputs, inputs, block
        bound = 1 / math.sqrt(inputs * positions)
        shape = (-(-outputs // block), -(-inputs // block), block, positions)
        self.columns = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound)) if bias else None

    def take(self, weight: Tensor, bias: Tensor | None) -> Self:
        """Take over the projection of dense weights (outputs, inputs, positions), with their norm, and the bias."""
        dense = weight.detach().cpu().numpy().astype(np.float64)
        columns = rescaled(dense, project(dense, self.block))
        with torch.no_grad():
            self.columns.copy_(torch.from_numpy(columns))
            if self.bias is not None and bias is not None:
                self.bias.copy_(bias)
        return self


class CirculantLinear(_Circulant):
    """`nn.Linear` with block-circulant weights.

    `positions` is above 1 behind a flattened image (channels, height, width): it is height * width then, and the
    blocks combine channels, for each pixel by itself, as the hardware needs it.

    Raises:
        IntarsiaError: the block is no power of two, or larger than the layer.
    """

    def __init__(
        self, in_features: int, out_features: int, block: int, bias: bool = True, positions: int = 1
    ) -> None:
        """Random weights, of the range of `nn.Linear`."""
        if in_features % positions:
            raise IntarsiaError(
                f"{in_features} inputs are no whole number of channels of {positions} positions"
            )
        super().__init__(out_features, in_features // positions, positions, block, bias)

    @classmethod
    def from_dense(cls, linear: Any, block: int, positions: int = 1) -> Self:
        """The projection of an `nn.Linear`."""
        layer = cls(linear.in_features, linear.out_features, block, linear.bias is not None, positions)
        return layer.take(linear.weight.reshape(layer.outputs, layer.inputs, positions), linear.bias)

    @property
    def weight(self) -> Tensor:
        """The dense weight (out_features, in_features)."""
        return expand(self.columns, self.outputs, self.inputs).reshape(self.outputs, -1)

    def forward(self, x: Tensor) -> Tensor:
        """X @ weight.T + bias."""
        return functional.linear(x, self.weight, self.bias)

    def to_dense(self) -> Any:
        """An `nn.Linear` with the expanded weights."""
        linear = nn.Linear(self.weight.shape[1], self.outputs, bias=self.bias is not None)
        return _copy(self, linear)


class CirculantConv2d(_Circulant):
    """`nn.Conv2d` with weights that are block-circulant over channels, for every kernel position.

    Raises:
        IntarsiaError: the block is no power of two, or larger than the layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        block: int,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
    ) -> None:
        """Random weights, of the range of `nn.Conv2d`."""
        self_kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        super().__init__(out_channels, in_channels, math.prod(self_kernel), block, bias)
        self.kernel = self_kernel
        self.stride, self.padding, self.dilation = stride, padding, dilation

    @classmethod
    def from_dense(cls, conv: Any, block: int) -> Self:
        """The projection of an `nn.Conv2d` of one group."""
        if conv.groups != 1 or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            raise IntarsiaError(
                "only an nn.Conv2d of one group with numbers of zeros as padding can be circulant"
            )
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            block,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.bias is not None,
        )
        return layer.take(conv.weight.flatten(2), conv.bias)

    @property
    def weight(self) -> Tensor:
        """The dense weight (out_channels, in_channels, kernel height, kernel width)."""
        return expand(self.columns, self.outputs, self.inputs).unflatten(2, self.kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Convolution of images (batch, channels, height, width)."""
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def to_dense(self) -> Any:
        """An `nn.Conv2d` with the expanded weights."""
        conv = nn.Conv2d(
            self.inputs,
            self.outputs,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            bias=self.bias is not None,
        )
        return _copy(self, conv)


def _copy(circulant: Any, dense: Any) -> Any:
    with torch.no_grad():
        dense.weight.copy_(circulant.weight)
        if circulant.bias is not None:
            dense.bias.copy_(circulant.bias)
    return dense

"""Attributes that ONNX's Conv and pools share: stride, dilation, padding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .sliding import Pads, Pair, image_size

if TYPE_CHECKING:
    from ..onnx_graph.onnx_node import OnnxNode
    from ..task_graph import Tensor


@dataclass(frozen=True)
class WindowAttributes:
    """A sliding window with explicit pads (top, left, bottom, right)."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pads

    @classmethod
    def from_onnx(cls, node: OnnxNode, x: Tensor, kernel: Pair) -> WindowAttributes:
        """The window of a node on images x; auto_pad becomes explicit."""
        stride = node.pair("strides", (1, 1))
        dilation = node.pair("dilations", (1, 1))
        auto_pad = node.attributes.get("auto_pad", "NOTSET")
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            node.require(
                dilation == (1, 1),
                f"ONNX Runtime has no auto_pad {auto_pad} with dilations {list(dilation)}. Supported: explicit pads",
            )
            size = image_size(x.shape)
            totals = [_same_padding(size[i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
            small = [total // 2 for total in totals]
            large = [total - total // 2 for total in totals]
            pads = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
        elif auto_pad in ("NOTSET", "VALID"):
            pads = tuple(node.attributes.get("pads", ())) if auto_pad == "NOTSET" else ()
            if len(x.shape) == 3 and len(pads) == 2:
                pads = (0, pads[0], 0, pads[1])
            pads = pads or (0, 0, 0, 0)
        else:
            raise node.error(f"auto_pad is {auto_pad!r}. Supported: NOTSET, SAME_UPPER, SAME_LOWER, VALID")
        node.require(
            len(pads) == 4 and min(pads) >= 0,
            f"pads are {list(pads)}. Supported: {2 * (len(x.shape) - 2)} integers, none negative",
        )
        return cls(kernel, stride, dilation, (pads[0], pads[1], pads[2], pads[3]))

    @property
    def extent(self) -> Pair:
        """Pixels from the first to the last kernel position, both counted."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    def require_pads_below_kernel(self, node: OnnxNode) -> None:
        """Raise unless every window of a pool holds at least one pixel of the image."""
        node.require(
            all(pad < self.kernel[i % 2] for i, pad in enumerate(self.pads)),
            f"pads {list(self.pads)} are not below the kernel {list(self.kernel)}. Supported: smaller pads",
        )

    def extended(self, size: Pair) -> WindowAttributes:
        """The same windows and those that ceil_mode=1 adds, by padding more at the bottom and on the right.

        A window that hangs over the border counts if it starts within the image or its padding before it.
        """
        bottom_right = [self._end_padding(size[i], i) for i in (0, 1)]
        return replace(self, pads=(self.pads[0], self.pads[1], bottom_right[0], bottom_right[1]))

    def _end_padding(self, size: int, axis: int) -> int:
        begin, end, stride, extent = (
            self.pads[axis],
            self.pads[axis + 2],
            self.stride[axis],
            self.extent[axis],
        )
        windows = -(-(begin + size + end - extent) // stride) + 1
        if (windows - 1) * stride >= begin + size:
            windows -= 1
        return max(end, (windows - 1) * stride + extent - begin - size)


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Padding in all with which the output has ceil(size / stride) pixels."""
    windows = -(-size // stride)
    return max((windows - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)

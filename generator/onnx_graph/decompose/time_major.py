"""Tensors whose first axis is time, as recurrent operators have them, kept as a layout of tensors whose first axis is the batch.

Intarsia computes one sample, and axis 0 is the batch. Transpose, Squeeze, Slice and the like around a recurrent operator only say
which element goes where: they are followed, and the first result whose axis 0 has size 1 again is made straight from the
tensors that hold the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from .decomposer import Decomposer
from .run_node import run_node

_LAYOUT = (
    "Transpose",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Identity",
    "Slice",
    "Gather",
    "Split",
)


@dataclass(frozen=True, eq=False)
class _Layout:
    """Elements of `pieces`, counted one after the other in C order, in the tensor's shape."""

    pieces: tuple[str, ...]
    indices: NDArray[np.int64]


class TimeMajor:
    """The layouts of one model, while its nodes are replaced."""

    def __init__(self, into: Decomposer, follows: bool) -> None:
        """Appends nodes to `into` where a layout is needed as a tensor; follows none if the model has no time."""
        self._into = into
        self._follows = follows
        self._layouts: dict[str, _Layout] = {}

    def put(self, name: str, pieces: tuple[str, ...], shape: tuple[int, ...]) -> None:
        """Declares a tensor of that shape as the pieces one after the other, each (1, rows, channels)."""
        indices = np.arange(prod(shape), dtype=np.int64).reshape(shape)
        self._place(name, _Layout(pieces, indices))

    def follow(self, node: NodeProto) -> bool:
        """True if the node only says where the elements of a tensor with time first go, and is done."""
        into = self._into
        if not self._follows or node.op_type not in _LAYOUT:
            return False
        if any(name not in into.constants for name in node.input[1:] if name):
            return False
        source = node.input[0]
        before = self._layouts.get(source)
        if before is None:
            after = into.shapes.get(node.output[0], (1,))
            if source not in into.shapes or source in into.constants or after[:1] == (1,):
                return False
            shape = into.shapes[source]
            before = _Layout((source,), np.arange(prod(shape), dtype=np.int64).reshape(shape))
        operands = {name: into.constants[name] for name in node.input[1:] if name}
        results = run_node(node, {source: before.indices, **operands}, into.opset)
        into.begin(node)
        for name, indices in zip(node.output, results, strict=True):
            self._place(name, _Layout(before.pieces, indices))
        return True

    def need(self, name: str) -> None:
        """Makes a tensor of a layout, if `name` is one."""
        layout = self._layouts.pop(name, None)
        if layout is not None:
            self._make(layout, layout.indices.shape, name)

    def rows(self, name: str, channels: int) -> str:
        """The elements of a tensor, or layout, as (1, rows, channels)."""
        into = self._into
        layout = self._layouts.get(name)
        if layout is not None:
            return self._make(layout, (1, layout.indices.size // channels, channels))
        shape = into.shapes[name]
        wanted = (1, prod(shape) // channels, channels)
        return name if shape == wanted else into.reshape(name, wanted)

    def _place(self, name: str, layout: _Layout) -> None:
        if layout.indices.shape[:1] == (1,):
            self._make(layout, layout.indices.shape, name)
        else:
            self._layouts[name] = layout

    def _make(self, layout: _Layout, shape: tuple[int, ...], result: str = "") -> str:
        """Nodes for a layout, from a single piece where that holds all of it."""
        into, pieces, indices = self._into, layout.pieces, layout.indices.reshape(-1)
        if len(pieces) > 1:
            size = prod(into.shapes[pieces[0]])
            used = np.unique(indices // size)
            if used.size == 1:
                pieces, indices = (pieces[used[0]],), indices - used[0] * size
        source = self._joined(pieces)
        total = sum(prod(into.shapes[piece]) for piece in pieces)
        if not np.array_equal(indices, np.arange(total)):
            flat = into.reshape(source, (1, total))
            source = into.node("Gather", [flat, into.integers(indices.tolist(), "elements")], axis=1)
        return into.reshape(source, shape, result)

    def _joined(self, pieces: tuple[str, ...]) -> str:
        """All pieces, joined in pairs, so that no element is moved more than log2(pieces) times."""
        parts = list(pieces)
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [self._into.node("Concat", pair, axis=1) if len(pair) > 1 else pair[0] for pair in pairs]
        return parts[0]

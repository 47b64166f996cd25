"""Block-circulant weights: projection, expansion, recognition.

Weights are (outputs, inputs, positions): positions are those of a convolution's kernel, or the pixels of a flattened
image, and 1 for a plain matrix. For every position they are cut into K x K blocks, padded with zeros at the end of
both axes. A block is circulant in the first-column convention: block[a, b] = column[(a - b) mod K], so that
block @ x = IFFT(FFT(column) * FFT(x)). K numbers stand for K * K.

Columns are (block rows, block columns, K, positions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import IntarsiaError
from ..work import MacWork

if TYPE_CHECKING:
    from ..task_graph import Task, TaskGraph

Array = NDArray[Any]

BLOCKS = (2, 4, 8, 16, 32, 64)
"""Sizes of blocks."""


def check_block(block: int) -> int:
    """The size itself.

    Raises:
        IntarsiaError: it is not a power of two from 2 to 64.
    """
    if block not in BLOCKS:
        sizes = ", ".join(map(str, BLOCKS))
        raise IntarsiaError(f"a circulant block cannot have size {block}. Supported: {sizes}")
    return block


def project(weight: Array, block: int) -> Array:
    """First columns of the nearest block-circulant weights, in the sense of least squares.

    The nearest circulant block has on each wrapped diagonal the mean of the elements there. Elements beyond the border
    of the weights do not count: whatever stands there is never used.

    Args:
        weight: (outputs, inputs, positions), real.
        block: K.
    """
    blocks, real = _blocks(weight, block, 0.0), _real(weight, block)
    sums = np.stack([blocks[_diagonal(block, d)].sum(axis=0) for d in range(block)], axis=2)
    counts = np.stack([real[_diagonal(block, d)].sum(axis=0) for d in range(block)], axis=2)
    means: Array = sums / np.maximum(counts, 1)
    return means


def rescaled(weight: Array, columns: Array) -> Array:
    """Columns scaled so that the expanded weights have the norm of the dense ones.

    The projection of independent weights keeps 1/K of their energy; without the factor a layer's output would shrink
    by about sqrt(K), and training would start from a nearly dead network.
    """
    outputs, inputs, _ = weight.shape
    norm = float(np.linalg.norm(expand(columns, outputs, inputs)))
    result: Array = columns * (float(np.linalg.norm(weight)) / norm if norm else 1.0)
    return result


def expand(columns: Array, outputs: int, inputs: int) -> Array:
    """Weights (outputs, inputs, positions) of first columns; the padding is cut off."""
    rows, across, block, positions = columns.shape
    turned = columns[:, :, rotation(block), :]  # block rows, block columns, a, b, positions
    whole = turned.transpose(0, 2, 1, 3, 4).reshape(rows * block, across * block, positions)
    return np.ascontiguousarray(whole[:outputs, :inputs])


def rotation(block: int) -> NDArray[np.int64]:
    """(a - b) mod K: which element of its first column stands at (a, b) of a block."""
    index = np.arange(block)
    return (index[:, np.newaxis] - index) % block


def first_columns(weight: Array, block: int) -> Array | None:
    """First columns of weights that are exactly circulant in blocks; None if they are not.

    Elements of a first column that meet only padding are 0.
    """
    lowest = np.where(_real(weight, block), _blocks(weight, block, 0), np.inf)
    highest = np.where(_real(weight, block), _blocks(weight, block, 0), -np.inf)
    low = np.stack([lowest[_diagonal(block, d)].min(axis=0) for d in range(block)], axis=2)
    high = np.stack([highest[_diagonal(block, d)].max(axis=0) for d in range(block)], axis=2)
    if (low < high).any():
        return None
    columns: Array = np.where(np.isinf(low), 0, low).astype(weight.dtype)
    return columns


def recognise(weight: Array) -> int:
    """Largest K for which the weights are exactly circulant in blocks; 1 if there is none.

    Only sizes up to outputs and inputs count: beyond them padding alone would make a block circulant.
    """
    outputs, inputs, _ = weight.shape
    if min(outputs, inputs) < 2 or not np.array_equal(weight[0, 0], weight[1, 1]):
        return 1  # most dense weights end here
    for block in reversed(BLOCKS):
        if block <= min(outputs, inputs) and first_columns(weight, block) is not None:
            return block
    return 1


def task_block(graph: TaskGraph, task: Task) -> int:
    """Size of the circulant blocks of a task's weights, real or raw; 1 for dense weights and for tasks without any."""
    if "weight" not in task.parameters or not isinstance(task.operator.work(task, graph), MacWork):
        return 1
    return recognise(task.operator.weights_by_position(task, graph).transpose(0, 2, 1))


def padding_waste(outputs: int, inputs: int, block: int) -> float:
    """Elements with padding over elements without."""
    return -(-outputs // block) * -(-inputs // block) * block * block / (outputs * inputs)


def _blocks(weight: Array, block: int, fill: float) -> Array:
    """(a, b, block rows, block columns, positions), padded."""
    outputs, inputs, positions = weight.shape
    margins = ((0, -outputs % block), (0, -inputs % block), (0, 0))
    padded = np.pad(weight, margins, constant_values=fill)
    split = padded.reshape(-1, block, padded.shape[1] // block, block, positions)
    return split.transpose(1, 3, 0, 2, 4)


def _real(weight: Array, block: int) -> NDArray[np.bool_]:
    """The elements of `_blocks` that are not padding; one position stands for all."""
    outputs, inputs, _ = weight.shape
    return _blocks(np.ones((outputs, inputs, 1), dtype=bool), block, False)


def _diagonal(block: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where (a - b) mod K is `number`."""
    a = np.arange(block)
    return a, (a - number) % block

"""Phases of an image as channels, put side by side as pixels: depth to space with a block of any size on each axis."""

from __future__ import annotations

from collections.abc import Sequence

from .decomposer import Decomposer


def interleave(
    into: Decomposer,
    y: str,
    channels: tuple[int, int],
    sizes: Sequence[int],
    strides: Sequence[int],
    result: str,
) -> str:
    """(1, groups * phases * outputs of a group, *sizes) -> (1, outputs, *sizes times strides).

    Args:
        into: takes the nodes.
        y: the image of phases; those of the last axis count fastest.
        channels: groups, and outputs of all of them.
        sizes: of the image.
        strides: phases of each axis.
        result: name of the result, or empty.
    """
    rank, (group, outputs) = len(sizes), channels
    if rank == 2 and group == 1 and strides[0] == strides[1]:
        return into.node("DepthToSpace", [y], result, blocksize=strides[0])
    split = into.reshape(y, [1, group, *strides, outputs // group, *sizes])
    pixels = [number for i in range(rank) for number in (3 + rank + i, 2 + i)]
    moved = into.transpose(split, [0, 1, 2 + rank, *pixels])
    whole = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    return into.reshape(moved, [1, outputs, *whole], result)

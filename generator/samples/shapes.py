"""Arrays as samples of a tensor's shape."""

from __future__ import annotations

import math

from ..operator import Array
from ..task_graph import Tensor

IMAGE_RANK = 3  # channels, height, width


def per_sample(values: Array, tensor: Tensor) -> Array | None:
    """The array as (samples, *shape without batch axis), images of other sizes included; None if it cannot be.

    Added or dropped: any axes of 1 in every sample, the sample axis of a lone sample;
    flat samples of the right number of values get the shape.
    """
    target = tensor.shape[1:]
    shape = values.shape
    if not shape:
        return None
    candidates = [shape]
    if shape[1:2] == (1,):
        candidates.append((shape[0], *shape[2:]))
    if target[:1] == (1,):
        candidates.append((shape[0], 1, *shape[1:]))
    candidates.append((1, *shape))
    for candidate in candidates:
        if _fits(candidate[1:], target):
            return values.reshape(candidate)
    flat = len(shape) == 2 or len(target) == 1
    if math.prod(shape[1:]) == math.prod(target) and (flat or _long(shape[1:]) == _long(target)):
        return values.reshape(shape[0], *target)
    return None


def _long(shape: tuple[int, ...]) -> list[int]:
    """Axes of more than one element."""
    return [size for size in shape if size != 1]


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Equal, or images of as many channels."""
    return shape == target or (len(shape) == len(target) == IMAGE_RANK and shape[0] == target[0])


def wanted(tensor: Tensor) -> str:
    return "(samples, " + ", ".join(map(str, tensor.shape[1:])) + ")"

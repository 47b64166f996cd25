"""AveragePool whose windows at the border divide by fewer pixels: a pool over zeros, times a constant of each pixel."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from ...operator import Array
from ..rewriter import attributes_of
from .decomposer import Decomposer


def average_pool(into: Decomposer, node: NodeProto) -> None:
    """The node itself, where every window counts all its positions; else AveragePool over zeros, and Mul."""
    shape, result = into.shape(node, node.input[0]), into.shape(node, node.output[0])
    given = attributes_of(node)
    kernel = given["kernel_shape"]
    rank = len(kernel)
    strides, dilations = given.get("strides", [1] * rank), given.get("dilations", [1] * rank)
    auto = given.get("auto_pad", b"NOTSET").decode()
    pads = list(given.get("pads", [0] * (2 * rank))) if auto == "NOTSET" else [0] * (2 * rank)
    if len(shape) not in (3, 4) or rank != len(shape) - 2:
        into.keep(node)  # which refuses it
        return
    extents = [dilations[i] * (kernel[i] - 1) + 1 for i in range(rank)]
    if auto.startswith("SAME"):
        for i in range(rank):
            total = max((result[i + 2] - 1) * strides[i] + extents[i] - shape[i + 2], 0)
            pads[i] = total // 2 if auto == "SAME_UPPER" else total - total // 2
            pads[i + rank] = total - pads[i]
    include = bool(given.get("count_include_pad", 0))
    counts: list[Array] = []
    for i in range(rank):
        first = np.arange(result[i + 2])[:, np.newaxis] * strides[i] - pads[i]
        position = first + np.arange(kernel[i]) * dilations[i]
        low, high = (-pads[i], shape[i + 2] + pads[i + rank]) if include else (0, shape[i + 2])
        counts.append(((position >= low) & (position < high)).sum(axis=1))
    number = counts[0] if rank == 1 else np.multiply.outer(*counts)
    if (number == prod(kernel)).all():
        into.keep(node)
        return
    ends = [(result[i + 2] - 1) * strides[i] + extents[i] - pads[i] - shape[i + 2] for i in range(rank)]
    attributes = {"kernel_shape": kernel, "strides": strides, "count_include_pad": 1}
    attributes["pads"] = [*pads[:rank], *(max(end, 0) for end in ends)]
    if max(dilations) > 1:
        attributes["dilations"] = dilations
    mean = into.node("AveragePool", node.input[:1], **attributes)
    into.node("Mul", [mean, into.floats(prod(kernel) / number[np.newaxis], "share")], node.output[0])

"""ONNX operators that become several simpler nodes when a model is imported, one file each.

The float reference model is the one with the simpler nodes, so verification shows every tensor in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import NodeProto

from ..constant_folding import infer_shapes
from .attention import attention
from .average_pool import average_pool
from .conv_transpose import conv_transpose
from .decomposer import Decomposer
from .image_norms import group_normalisation, instance_normalisation
from .lrn import local_response_normalisation
from .prelu import prelu
from .resize import resize

DECOMPOSED: Mapping[str, Callable[[Decomposer, NodeProto], None]] = {
    "Attention": attention,
    "AveragePool": average_pool,
    "ConvTranspose": conv_transpose,
    "GroupNormalization": group_normalisation,
    "InstanceNormalization": instance_normalisation,
    "LRN": local_response_normalisation,
    "PRelu": prelu,
    "Resize": resize,
    "Upsample": resize,
}
"""By ONNX operator: appends the nodes that stand for a node, the last with the node's output."""

REPLACED = {
    "Attention": "Products of matrices around a Softmax, without a cache of keys and values.",
    "AveragePool": "Where windows at the border count fewer pixels: a mean over zeros, times a constant of each pixel.",
    "ConvTranspose": "A Conv that makes all phases of the stride as channels, and a move that interleaves them.",
    "GroupNormalization": "LayerNormalization of rows, and a factor and summand per channel.",
    "InstanceNormalization": "LayerNormalization of rows, and a factor and summand per channel.",
    "LRN": "A Conv with ones over neighbouring channels, a function, and products.",
    "PRelu": "With several slopes: the larger of x and its product with them.",
    "Resize": "Linear and cubic: a depthwise Conv of all phases, or products with a matrix for each axis.",
    "Upsample": "Linear: as Resize.",
}
"""What takes the place of each."""


def apply(model: onnx.ModelProto) -> None:
    """Replaces the nodes in place.

    Raises:
        IntarsiaError: a node asks for something that its decomposition does not do.
    """
    if not any(node.op_type in DECOMPOSED for node in model.graph.node):
        return
    decomposer = Decomposer(model)
    for node in list(model.graph.node):
        if node.op_type in DECOMPOSED:
            decomposer.begin(node)
            DECOMPOSED[node.op_type](decomposer, node)
        else:
            decomposer.keep(node)
    decomposer.finish()
    infer_shapes(model)

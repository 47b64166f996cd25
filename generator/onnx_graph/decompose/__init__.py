"""ONNX operators that become several simpler nodes when a model is imported, one file each.

The float reference model is the one with the simpler nodes, so verification shows every tensor in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import NodeProto

from ..constant_folding import infer_shapes
from ..rewriter import attributes_of, error
from .attention import attention
from .conv_transpose import conv_transpose
from .decomposer import Decomposer
from .image_norms import group_normalisation, instance_normalisation
from .lrn import local_response_normalisation
from .prelu import prelu
from .recurrent import MOST_STEPS, recurrent
from .resize import resize
from .row_norms import row_normalisation
from .time_major import TimeMajor
from .volume_pool import global_pool, pool

DECOMPOSED: Mapping[str, Callable[[Decomposer, NodeProto], None]] = {
    "Attention": attention,
    "AveragePool": pool,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "GroupNormalization": group_normalisation,
    "InstanceNormalization": instance_normalisation,
    "LayerNormalization": row_normalisation,
    "LRN": local_response_normalisation,
    "MaxPool": pool,
    "PRelu": prelu,
    "RMSNormalization": row_normalisation,
    "Resize": resize,
    "Upsample": resize,
}
"""By ONNX operator: appends the nodes that stand for a node, the last with the node's output."""

RECURRENT = ("LSTM", "GRU", "RNN")
REPLACED = {
    "Attention": "Products of matrices around a Softmax, without a cache of keys and values.",
    "AveragePool": "Where windows at the border count fewer pixels: a mean over zeros, times a constant of each pixel. "
    "Of volumes: two pools of images.",
    "ConvTranspose": "A Conv that makes all phases of the stride as channels, and a move that interleaves them.",
    "GroupNormalization": "LayerNormalization of rows, and a factor and summand per channel.",
    "InstanceNormalization": "LayerNormalization of rows, and a factor and summand per channel.",
    "LRN": "A Conv with ones over neighbouring channels, a function, and products.",
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "MaxPool"), "Of volumes: pools of images."),
    "PRelu": "With several slopes: the larger of x and its product with them.",
    "Resize": "Linear, cubic, cropped: a depthwise Conv of all phases, or products with a matrix for each axis.",
    "Upsample": "Linear: as Resize.",
    **dict.fromkeys(
        RECURRENT, f"Unrolled: products, functions and sums for each of up to {MOST_STEPS} steps."
    ),
}
"""What takes the place of each."""


def apply(model: onnx.ModelProto) -> None:
    """Replaces the nodes in place.

    Raises:
        IntarsiaError: a node asks for something that its decomposition does not do.
    """
    if not any(node.op_type in (*DECOMPOSED, *RECURRENT) for node in model.graph.node):
        return
    decomposer = Decomposer(model)
    times = TimeMajor(decomposer, any(node.op_type in RECURRENT for node in model.graph.node))
    for node in list(model.graph.node):
        if times.follow(node):
            continue
        decomposer.begin(node)
        if node.op_type in RECURRENT:
            recurrent(decomposer, times, node)
            continue
        for name in node.input:
            times.need(name)
        if node.op_type in DECOMPOSED:
            DECOMPOSED[node.op_type](decomposer, node)
        else:
            decomposer.keep(node)
    for value in model.graph.output:
        times.need(value.name)
    decomposer.finish()
    infer_shapes(model)


def require_batch_first(graph: onnx.GraphProto) -> None:
    """Axis 0 of every input is taken as the batch, which it is not where a recurrent operator reads it.

    Raises:
        IntarsiaError: an input's axis 0 is time, of several steps or of any number.
    """
    inputs = {value.name: value for value in graph.input}
    for node in graph.node:
        if (
            node.op_type not in RECURRENT
            or attributes_of(node).get("layout", 0)
            or node.input[0] not in inputs
        ):
            continue
        if inputs[node.input[0]].type.tensor_type.shape.dim[0].dim_value != 1:
            raise error(
                node,
                f"axis 0 of the graph input {node.input[0]!r} is time, but intarsia takes it as the batch. Supported: inputs "
                "(batch, time, features). Export the model with batch_first=True, with a fixed number of steps",
            )

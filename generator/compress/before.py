"""The dense model that a compressed one was made of, for `verify`."""

from __future__ import annotations

import onnx

from ..errors import IntarsiaError
from ..frontend import import_model
from ..onnx_graph.onnx_model import Source
from . import metadata
from .fold_batch_norm import fold_batch_norm


def before_compression(compressed: Source, dense: Source) -> onnx.ModelProto:
    """The dense model, normalised as `compress` does it, so that its tensors have the compressed model's names.

    Raises:
        IntarsiaError: the compressed model is none, or was made of another model.
    """
    after = import_model(compressed).model
    if metadata.read(after) is None:
        raise IntarsiaError(
            "--dense goes with a model of `intarsia compress`; this one says nothing of a compression"
        )
    before = import_model(fold_batch_norm(import_model(dense).model)).model
    if _nodes(before) != _nodes(after):
        raise IntarsiaError(
            "--dense is not the model that was compressed: its nodes are others. Give that model"
        )
    return before


def _nodes(model: onnx.ModelProto) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(node.op_type, tuple(node.input), tuple(node.output)) for node in model.graph.node]

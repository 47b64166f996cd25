"""Normalisation: any accepted ONNX model as the plain float model of one sample that the rest works on.

Batch size 1, float32, every node named, in topological order, constants folded, no dead or do-nothing nodes, all
shapes known. Tensor names stay those of the user's model. The functions here change a private copy in place.
"""

from __future__ import annotations

import onnx
import onnx.inliner
from onnx import TensorProto

from ..errors import IntarsiaError
from ..host.split import HostOps, not_of_floats
from . import (
    batch_axis,
    constant_folding,
    decompose,
    lower_nodes,
    lower_operands,
    lower_reductions,
    moved_batch,
    older_opset,
    onnx_checks,
    sample_axis,
    whole_numbers,
)
from .batch import set_batch
from .decomposed_norm import norm_members
from .float32 import to_float32
from .node_order import name_nodes, sort_nodes
from .simplify import drop_unused_inputs, remove_dead_nodes, remove_identities, reshape_inputs

IR_VERSION = 10
"""Written into every model we make: newer ones are unknown to older ONNX Runtimes."""


REPLACED = {
    **decompose.REPLACED,
    **lower_reductions.REPLACED,
    **lower_operands.REPLACED,
    **lower_nodes.REPLACED,
}
"""ONNX operators that are replaced by others, and what takes their place."""


def normalise(model: onnx.ModelProto, host_ops: HostOps = None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Normalise in place.

    Args:
        model: valid or not.
        host_ops: nodes that the user leaves to the host, whose integers stay integers.

    Returns:
        Remarks for the report, and the types of tensors that were integers or booleans and are now of floats.

    Raises:
        IntarsiaError: the model is not valid, or not for this hardware.
    """
    if model.functions:
        model.CopyFrom(onnx.inliner.inline_local_functions(model))
    onnx_checks.check(model)
    notes = []
    sort_nodes(model.graph)
    name_nodes(model.graph)
    older_opset.apply(model)
    drop_constant_inputs(model)
    remove_dead_nodes(model.graph)
    check_valid(model)
    if converted := to_float32(model):
        notes.append(f"{converted} became float32")
    decompose.require_batch_first(model.graph)
    notes += take_whole_inputs(model)
    if (batch := set_batch(model.graph)) > 1:
        notes.append(f"the batch size of {batch} was dropped: the accelerator takes one sample at a time")
    nodes = len(model.graph.node)
    try:
        constant_folding.fold(model, batch)
    except IntarsiaError as error:
        hint = (
            f". Axis 0 of the inputs was taken as a batch of {batch} samples, and set to 1"
            if batch > 1
            else ""
        )
        raise IntarsiaError(f"{error}{hint}") from error
    remove_identities(model.graph)
    remove_dead_nodes(model.graph)
    if gone := nodes - len(model.graph.node):
        notes.append(f"{gone} of {nodes} nodes were constant or did nothing, and were folded")
    whole = whole_numbers.take(model, host_ops)  # before all that makes other nodes of float ones
    if whole:
        constant_folding.infer_shapes(model)
        remove_identities(model.graph)
    widened = moved_batch.keep_batch_first(model)
    decompose.apply(model)  # before all others, which lower what it makes further
    for lower in (lower_reductions.apply, lower_operands.apply):
        lower(model, norm_members(model.graph) | not_of_floats(model.graph))
        constant_folding.infer_shapes(model)
    remove_identities(model.graph)
    lower_nodes.apply(model, not_of_floats(model.graph))
    constant_folding.infer_shapes(model)
    remove_dead_nodes(model.graph)
    notes += reshape_inputs(model.graph, widened)
    notes += drop_unused_inputs(model.graph)
    constant_folding.infer_shapes(model)
    onnx_checks.check_reshapes(model.graph, constant_folding.shapes_of(model.graph))
    return tuple(notes), whole


def take_whole_inputs(model: onnx.ModelProto) -> list[str]:
    """Where axis 0 of the inputs is no batch, the whole of them is one sample; returns remarks for the report."""
    shapes = [[d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.input]
    if all(len(shape) > 1 for shape in shapes) and {shape[0] for shape in shapes} in ({0}, {1}):
        return []
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for value in whole.graph.input:
        if value.type.tensor_type.shape.dim and not value.type.tensor_type.shape.dim[0].dim_value:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    constant_folding.fold(whole, 1)
    if batch_axis.has_batch(whole) or batch_axis.of_batches(whole):
        return []
    note = sample_axis.add_sample_axis(whole)
    model.CopyFrom(whole)
    return [note]


def drop_constant_inputs(model: onnx.ModelProto) -> None:
    """Initializers are no inputs (models of IR version 3 list them as such)."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = IR_VERSION


def check_valid(model: onnx.ModelProto) -> None:
    """Known operators, and ONNX's own check: attributes, number of operands, types of initializers."""
    for value in model.graph.output:  # it insists on types and shapes of outputs, which are inferred anyway
        value.type.tensor_type.elem_type = value.type.tensor_type.elem_type or TensorProto.FLOAT
        value.type.tensor_type.shape.SetInParent()
    onnx_checks.check_operators(model)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise IntarsiaError(
            f"the model is not valid ONNX: {' '.join(str(error).split())}. Export the model again, or mend the node or tensor "
            "named"
        ) from error

"""Models without a batch: where axis 0 of an input cannot count samples (batch_axis.py), the whole input is one sample.

Part of normalise.py.
"""

from __future__ import annotations

import onnx

from .one_more_axis import Lifted


def add_sample_axis(model: onnx.ModelProto) -> str:
    """Makes the whole of every input one sample, in place; returns a remark for the report.

    Raises:
        IntarsiaError: a node cannot work on tensors with one more axis.
    """
    lifted = Lifted(model)
    for node in model.graph.node:
        lifted.begin(node)
        lifted.lift(node)
    lifted.finish()
    graph = model.graph
    for value in graph.input:
        shape = lifted.known.shapes[value.name]
        del value.type.tensor_type.shape.dim[:]
        for size in (1, *shape):
            value.type.tensor_type.shape.dim.add(dim_value=size)
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    names = ", ".join(repr(value.name) for value in graph.input)
    return f"the whole of {names} is one sample: the model does not treat axis 0 as a batch"

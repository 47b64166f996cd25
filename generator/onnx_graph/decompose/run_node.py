"""One ONNX node by itself in ONNX Runtime, on constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import NodeProto, ValueInfoProto, helper, numpy_helper

from ...operator import Array
from ..reference_session import reference_session
from ..rewriter import error

_IR_VERSION = 10


def run_node(node: NodeProto, operands: Mapping[str, Array], opset: int) -> list[Array]:
    """Its results.

    Args:
        node: a node of ONNX's own domain.
        operands: its inputs by name.
        opset: of the model that it is from.

    Raises:
        IntarsiaError: ONNX Runtime cannot run it.
    """
    graph = helper.make_graph(
        [node],
        "alone",
        [],
        [ValueInfoProto(name=name) for name in node.output],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in operands.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_VERSION)
    try:
        return [np.asarray(values) for values in reference_session(model).run(None, {})]
    except Exception as problem:  # ONNX Runtime's exceptions share no base but Exception
        raise error(node, f"ONNX Runtime cannot run it: {str(problem).splitlines()[0]}") from problem

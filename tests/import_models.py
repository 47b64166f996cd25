"""Weights, shapes and small networks that the tests of the front end share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx_models import make_model, node, random

NEWEST = onnx.defs.onnx_opset_version()
DATA = Path(__file__).parents[2] / "shared" / "data"
DEMO = Path(__file__).parents[1] / "generator" / "demo" / "lenet5.onnx"
W = random(4, 3, 3, 3)
B = random(4)
M = random(6, 5)


def conv_net(flatten: list[onnx.NodeProto], constants: dict | None = None, **options) -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w", "b"], "c"),
        node("Relu", ["c"], "r"),
        node("MaxPool", ["r"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        *flatten,
        node("Gemm", ["f", "m", "n"], "y"),
    ]
    constants = {"w": W, "b": B, "m": random(36, 10), "n": random(10), **(constants or {})}
    return make_model(nodes, options.pop("input_shape", ("N", 3, 8, 8)), constants, **options)


FLATTENS = {
    "flatten": ([node("Flatten", ["p"], "f", axis=1)], {}),
    "flatten_negative_axis": ([node("Flatten", ["p"], "f", axis=-3)], {}),
    "reshape_0_-1": ([node("Reshape", ["p", "s"], "f")], {"s": [0, -1]}),
    "reshape_-1_n": ([node("Reshape", ["p", "s"], "f")], {"s": [-1, 36]}),
    "reshape_1_n": ([node("Reshape", ["p", "s"], "f")], {"s": [1, 36]}),
    "constant_node": (
        [
            node("Constant", [], "s", value=numpy_helper.from_array(np.array([1, 36]))),
            node("Reshape", ["p", "s"], "f", allowzero=1),
        ],
        {},
    ),
    "shape_chain": (
        [
            node("Shape", ["p"], "s0"),
            node("Gather", ["s0", "zero"], "s1", axis=0),
            node("Unsqueeze", ["s1", "axes"], "s2"),
            node("Concat", ["s2", "rest"], "s3", axis=0),
            node("Cast", ["s3"], "s4", to=TensorProto.INT64),
            node("Reshape", ["p", "s4"], "f"),
        ],
        {"zero": np.array(0), "axes": [0], "rest": [-1]},
    ),
    "shape_start_end": (
        [
            node("Shape", ["p"], "s0", start=0, end=1),
            node("Concat", ["s0", "rest"], "s1", axis=0),
            node("Reshape", ["p", "s1"], "f"),
        ],
        {"rest": [-1]},
    ),
    "two_reshapes": (
        [node("Reshape", ["p", "s"], "q"), node("Dropout", ["q"], "d"), node("Flatten", ["d"], "f")],
        {"s": [0, 0, -1]},
    ),
    "channels_last": (
        [node("Transpose", ["p"], "t", perm=[0, 2, 3, 1]), node("Reshape", ["t", "s"], "f")],
        {"s": [-1, 36]},
    ),
    "relu_after": ([node("Flatten", ["p"], "q"), node("Relu", ["q"], "f")], {}),
}
IMAGE = (1, 3, 8, 8)

"""Nodes and graphs that the front end refuses."""

from __future__ import annotations

import numpy as np
import pytest
from import_models import IMAGE, M, W
from onnx import TensorProto, helper
from onnx_models import make_model, node, random

from intarsia import passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model

NAN = W.copy()
NAN[1, 2, 0, 0] = np.nan
REFUSED = {
    "group 2": (
        [node("Conv", ["x", "w"], "y", group=2)],
        (1, 2048, 2, 2),
        {"w": random(1024, 1024, 1, 1)},
        r"Conv node 'n_y': group is 2, .* would have 2,097,152 weights.*Supported: up to 1,048,576, or depthwise",
    ),
    "computed weight": (
        [node("Relu", ["x"], "w"), node("Conv", ["x", "w"], "y")],
        (1, 1, 4, 4),
        {},
        "'w', is computed",
    ),
    "nan": ([node("Conv", ["x", "w"], "y")], IMAGE, {"w": NAN}, r"'w' holds NaN.*1 of 108.*\(1, 2, 0, 0\)"),
    "conv 3d": (
        [node("Conv", ["x", "w"], "y")],
        (1, 3, 8, 8, 8),
        {"w": random(4, 3, 3, 3, 3)},
        "two-dimensional images.*and signals",
    ),
    "channels": ([node("Conv", ["x", "w"], "y")], (1, 5, 8, 8), {"w": W}, "n_y"),
    "kernel too large": ([node("Conv", ["x", "w"], "y")], (1, 3, 2, 2), {"w": W}, "n_y|window"),
    "gemm shapes": ([node("Gemm", ["x", "m"], "y")], (1, 7), {"m": M}, "n_y"),
    "divide by zero": ([node("Div", ["x", "c"], "y")], IMAGE, {"c": 0.0}, "divides by zero"),
    "unsupported": (
        [node("Sin", ["x"], "a"), node("Cos", ["a"], "y")],
        IMAGE,
        {},
        r"Sin \(node 'n_a'\), Cos \(node 'n_y'\)\. Supported: Abs, Add",
    ),
    "many unsupported": (
        [node("Sin", ["x" if i == 0 else f"t{i - 1}"], f"t{i}") for i in range(8)],
        IMAGE,
        {},
        "and 3 more",
    ),
    "quantised": (
        [
            node("Sigmoid", ["x"], "t"),
            node("QuantizeLinear", ["x", "t"], "q"),
            node("DequantizeLinear", ["q", "t"], "y"),
        ],
        (1, 6),
        {},
        "QuantizeLinear node .* input 1, 't', is computed. Supported: a constant",
    ),
    "dynamic": (
        [node("Conv", ["x", "w"], "y")],
        ("N", 3, "height", 8),
        {"w": W},
        "axis 2.*--dim_param height",
    ),
    "dynamic unnamed": (
        [node("Conv", ["x", "w"], "y")],
        ("N", 3, None, 8),
        {"w": W},
        "axis 2.*--input_name x",
    ),
    "no shape": ([node("Relu", ["x"], "y")], None, {}, "'x' has no shape"),
    "zero axis": ([node("Relu", ["x"], "y")], (1, 0, 8, 8), {}, "size 0 on axis 1"),
    "no node": ([], (1, 8), {}, "has no nodes"),
    "nonzero": ([node("NonZero", ["x"], "n"), node("Cast", ["n"], "y", to=1)], (1, 6), {}, "NonZero"),
    "constant": ([node("Identity", ["m"], "y")], (1, 6), {"m": M}, "nothing is left|constant"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    nodes, shape, constants, message = REFUSED[case]
    nodes = nodes or [node("Relu", ["x"], "y")]
    model = make_model(nodes, shape, constants)
    if case == "no node":
        del model.graph.node[:]
    with pytest.raises(IntarsiaError, match=message):
        passes.run(import_model(model).graph)


def test_refused_graphs() -> None:
    cycle = make_model(
        [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y")], IMAGE
    )
    with pytest.raises(IntarsiaError, match=r"cycle: Add \(node 'n_a'\), Relu \(node 'n_b'\)"):
        import_model(cycle)
    with pytest.raises(IntarsiaError, match="reads tensor 'missing', which nothing makes"):
        import_model(make_model([node("Relu", ["missing"], "y")], IMAGE))
    with pytest.raises(IntarsiaError, match="'y' is made twice"):
        import_model(make_model([node("Relu", ["x"], "y"), node("Relu", ["x"], "y")], IMAGE))
    with pytest.raises(IntarsiaError, match="no node makes graph output 'z'"):
        import_model(make_model([node("Relu", ["x"], "y")], IMAGE, output="z"))
    with pytest.raises(IntarsiaError, match=r"not valid ONNX.*kernel_size"):
        import_model(make_model([node("MaxPool", ["x"], "y", kernel_size=[2, 2])], IMAGE))
    with pytest.raises(IntarsiaError, match=r"opset 6\. Supported: 7 to"):
        import_model(make_model([node("Relu", ["x"], "y")], IMAGE, opset=6))
    with pytest.raises(IntarsiaError, match=r"int32 tensor 'x'.*nothing would be left"):
        import_model(make_model([node("Abs", ["x"], "y")], IMAGE, elements=TensorProto.INT32))
    with pytest.raises(IntarsiaError, match="'x' has elements of type string"):
        import_model(make_model([node("Identity", ["x"], "y")], IMAGE, elements=TensorProto.STRING))
    domain = make_model(
        [helper.make_node("FusedConv", ["x"], ["y"], name="f", domain="com.microsoft")], IMAGE
    )
    domain.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(IntarsiaError, match=r"FusedConv of com\.microsoft \(node 'f'\)"):
        import_model(domain)


def test_training_mode_is_refused() -> None:
    parameters = {name: np.abs(random(3, seed=i)) for i, name in enumerate("gbmv")}
    batch_norm = node("BatchNormalization", ["x", *"gbmv"], "y", training_mode=1)
    with pytest.raises(IntarsiaError, match="training mode"):
        import_model(make_model([batch_norm], IMAGE, parameters))
    dropout = node("Dropout", ["x", "ratio", "training"], "y")
    constants = {"ratio": 0.5, "training": np.array(True)}
    with pytest.raises(IntarsiaError, match="training mode"):
        import_model(make_model([dropout, node("Relu", ["y"], "z")], IMAGE, constants))

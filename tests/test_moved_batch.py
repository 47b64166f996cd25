"""Models that put the batch elsewhere than first in between, as exports of attention do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_models import make_model, node, random, run_onnxruntime

from intarsia import golden
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model


def _tokens_first(inner: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """(1, tokens, features) -> (tokens, 1, features), `inner` from t to u, and back."""
    return [
        node("Transpose", ["x"], "t", perm=[1, 0, 2]),
        *inner,
        node("Transpose", ["u"], "y", perm=[1, 0, 2]),
    ]


CASES = {
    "product": (_tokens_first([node("MatMul", ["t", "w"], "u")]), {"w": random(8, 8)}),
    "rows": (
        _tokens_first(
            [
                node("Reshape", ["t", "s"], "r"),
                node("Gemm", ["r", "w", "b"], "g", transB=1, alpha=0.5),
                node("Reshape", ["g", "back"], "u"),
            ]
        ),
        {"w": random(8, 8), "b": random(8), "s": [6, 8], "back": [6, 1, 8]},
    ),
    "heads": (
        [
            node("Reshape", ["x", "s"], "r"),
            node("Transpose", ["r"], "t", perm=[2, 0, 3, 1, 4]),
            helper.make_node("Split", ["t"], ["q", "k"], name="split", axis=0),
            node("Squeeze", ["q", "zero"], "one"),
            node("Squeeze", ["k", "zero"], "other"),
            node("Transpose", ["other"], "turned", perm=[0, 1, 3, 2]),
            node("MatMul", ["one", "turned"], "y"),
        ],
        {"s": [1, 6, 2, 2, 2], "zero": [0]},
    ),
    "rows as the result": (
        [node("Reshape", ["x", "s"], "r"), node("Gemm", ["r", "w"], "y")],
        {"w": random(8, 3), "s": [-1, 8]},
    ),
    "samples as columns": (
        [node("Reshape", ["x", "s"], "r"), node("Gemm", ["r", "w"], "y", transA=1)],
        {"w": random(1, 3), "s": [1, 48]},
    ),
    "sum over tokens": (
        [node("Transpose", ["x"], "t", perm=[1, 0, 2]), node("ReduceSum", ["t", "zero"], "y", keepdims=0)],
        {"zero": [0]},
    ),
    "a tensor that stays": (
        [
            node("Transpose", ["x"], "t", perm=[1, 2, 0]),
            node("Reshape", ["t", "s"], "r"),
            node("Add", ["r", "x"], "y"),
        ],
        {"s": [1, 6, 8]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_values_stay(case: str) -> None:
    nodes, constants = CASES[case]
    model = make_model(nodes, (1, 6, 8), constants)
    x = random(3, 1, 6, 8)
    imported = import_model(model)
    expected = np.stack([run_onnxruntime(model, {"x": one}, ["y"])["y"] for one in x])
    (result,) = imported.graph.outputs
    found = golden.run_float(imported.graph, {"x": x})[result]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
    together = run_onnxruntime(imported.model, {"x": x[:, 0]}, ["y"])["y"]  # the reference takes any batch
    np.testing.assert_allclose(together.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
    assert all(tensor.shape[0] == 1 for tensor in imported.graph.tensors.values())


def test_a_result_that_is_only_reshaped_keeps_its_shape() -> None:
    nodes = [node("MatMul", ["x", "w"], "m"), node("Squeeze", ["m", "zero"], "y")]
    imported = import_model(make_model(nodes, (1, 8), {"w": random(8, 3), "zero": [0]}))
    assert [one.op_type for one in imported.model.graph.node] == ["MatMul", "Squeeze"]
    assert imported.host_tail == ("Squeeze n_y",)


def test_a_convolution_before_is_left_alone() -> None:
    nodes = [
        node("Conv", ["x", "k"], "c"),
        node("Reshape", ["c", "s"], "r"),
        node("Transpose", ["r"], "t", perm=[2, 0, 1]),
        node("MatMul", ["t", "w"], "u"),
        node("Transpose", ["u"], "y", perm=[1, 0, 2]),
    ]
    constants = {"k": random(4, 3, 2, 2), "s": [1, 4, 9], "w": random(4, 5)}
    model = make_model(nodes, (1, 3, 4, 4), constants)
    x = random(1, 3, 4, 4)
    imported = import_model(model)
    (found,) = golden.run_float(imported.graph, {"x": x[np.newaxis]})[imported.graph.outputs[0]]
    expected = run_onnxruntime(model, {"x": x}, ["y"])["y"]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


def test_a_convolution_of_something_else_than_samples_is_refused() -> None:
    nodes = [node("Transpose", ["x"], "t", perm=[1, 0, 2, 3]), node("Conv", ["t", "k"], "y")]
    with pytest.raises(IntarsiaError, match=r"Transpose node .*axis 0 stays the batch"):
        import_model(make_model(nodes, (1, 3, 4, 4), {"k": random(4, 1, 2, 2)}))

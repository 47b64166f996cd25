"""Models whose inputs have no batch axis: the whole input is one sample."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from onnx_models import make_model, node, random, run_onnxruntime

from intarsia import golden
from intarsia.frontend import import_model
from intarsia.onnx_graph.batch_axis import has_batch

INT = np.int64
MIXING = {
    "vector": ([node("Relu", ["x"], "y")], (5,), {}),
    "softmax": ([node("Softmax", ["x"], "y", axis=0)], (4, 3), {}),
    "softmax_negative": ([node("Softmax", ["x"], "y", axis=-2)], (4, 3), {}),
    "transpose": ([node("Transpose", ["x"], "y", perm=[1, 0, 2])], (2, 3, 4), {}),
    "reverse": ([node("Transpose", ["x"], "y")], (2, 3, 4), {}),
    "slice": ([node("Slice", ["x", "a", "b"], "y")], (4, 5), {"a": [1, 0], "b": [3, 4]}),
    "slice_axes": (
        [node("Slice", ["x", "a", "b", "d"], "y")],
        (4, 5),
        {"a": [1], "b": [3], "d": [-2]},
    ),
    "gather": ([node("Gather", ["x", "i"], "y")], (4, 5), {"i": np.array(2)}),
    "pad": ([node("Pad", ["x", "p"], "y")], (4, 5), {"p": [1, 0, 2, 3]}),
    "tile": ([node("Tile", ["x", "r"], "y")], (2, 3), {"r": [2, 2]}),
    "expand": ([node("Expand", ["x", "s"], "y")], (3, 1), {"s": [2, 3, 4]}),
    "reshape": ([node("Reshape", ["x", "s"], "y")], (4, 6), {"s": [3, 8]}),
    "unsqueeze": ([node("Unsqueeze", ["x", "d"], "y")], (4, 6), {"d": [0]}),
    "flatten": ([node("Flatten", ["x"], "y", axis=0)], (4, 6), {}),
    "reduce": ([node("ReduceSum", ["x", "d"], "y", keepdims=0)], (4, 6), {"d": [0]}),
    "split": (
        [helper.make_node("Split", ["x"], ["u", "v"], name="s", axis=0), node("Add", ["u", "v"], "y")],
        (4, 6),
        {},
    ),
    "gemm": (
        [node("Gemm", ["x", "w", "b"], "y", transA=1, alpha=0.5, beta=2.0)],
        (4, 6),
        {"w": random(4, 5), "b": random(5)},
    ),
    "matmul": ([node("MatMul", ["w", "x"], "y")], (4, 6), {"w": random(3, 4)}),
    "constant_of_more_axes": ([node("Mul", ["x", "c"], "y")], (4, 6), {"c": random(2, 4, 6)}),
}


@pytest.mark.parametrize("case", MIXING)
def test_the_values_stay(case: str) -> None:
    nodes, shape, constants = MIXING[case]
    model = make_model(nodes, shape, constants)
    x = random(*shape)
    imported = import_model(model)
    taken = imported.graph.tensors["x"].shape  # with more axes of size 1, where a Reshape comes first
    found = run_onnxruntime(imported.model, {"x": x.reshape(taken)}, ["y"])["y"]
    np.testing.assert_allclose(found[0], run_onnxruntime(model, {"x": x}, ["y"])["y"], rtol=1e-5, atol=1e-6)
    assert any("one sample" in note for note in imported.notes)
    assert [size for size in taken if size > 1] == [size for size in shape if size > 1]
    assert taken[0] == 1


@pytest.mark.parametrize(
    ("nodes", "shape", "constants"),
    [
        ([node("Softmax", ["x"], "y", axis=1)], (4, 3), {}),
        ([node("Transpose", ["x"], "y", perm=[0, 2, 1])], (2, 3, 4), {}),
        ([node("Gemm", ["x", "w"], "y")], (4, 6), {"w": random(6, 5)}),
        ([node("Add", ["x", "c"], "y")], (4, 6), {"c": random(1, 6)}),
        ([node("ReduceSum", ["x", "d"], "y")], (4, 6), {"d": [1]}),
    ],
)
def test_a_batch_stays_a_batch(nodes: list, shape: tuple[int, ...], constants: dict) -> None:
    imported = import_model(make_model(nodes, shape, constants))
    assert imported.graph.tensors["x"].shape == (1, *shape[1:])


def test_inputs_of_different_sizes_are_one_sample() -> None:
    model = make_model([node("MatMul", ["x", "z"], "y")], (3, 4))
    model.graph.input.append(helper.make_tensor_value_info("z", 1, (4, 2)))
    assert not has_batch(model)
    assert import_model(model).graph.tensors["z"].shape == (1, 4, 2)


@pytest.mark.parametrize(
    ("first", "second"), [((3, 4), (4,)), ((4,), (4,)), ((4,), (3, 4, 5)), ((2, 3, 4), (4,)), ((4,), (4, 5))]
)
def test_products_with_computed_vectors(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    model = make_model([node("MatMul", ["x", "z"], "y")], first)
    model.graph.input.append(helper.make_tensor_value_info("z", 1, second))
    inputs = {"x": random(*first), "z": random(*second, seed=1)}
    imported = import_model(model)
    taken = {name: values.reshape(imported.graph.tensors[name].shape) for name, values in inputs.items()}
    (found,) = golden.run_float(imported.graph, {name: values[np.newaxis] for name, values in taken.items()})[
        imported.graph.outputs[0]
    ]
    expected = run_onnxruntime(model, inputs, ["y"])["y"]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", [[2, 0, 4, 1], [2, 0, 1, -1], [2, -1, 2]])
def test_targets_for_a_batch_become_those_for_a_sample(target: list[int]) -> None:
    imported = import_model(make_model([node("Reshape", ["x", "s"], "y")], (2, 3, 4), {"s": target}))
    x = random(1, 3, 4)
    expected = x.reshape(1, *[3 if size == 0 else size for size in target[1:]])
    np.testing.assert_array_equal(run_onnxruntime(imported.model, {"x": x}, ["y"])["y"], expected)

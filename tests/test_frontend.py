"""Every ONNX operator, model style and mistake that the front end knows."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import check, make_model, node, random, run_onnxruntime

from intarsia import golden, passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model

NEWEST = onnx.defs.onnx_opset_version()
DATA = Path(__file__).parents[2] / "shared" / "data"
DEMO = Path(__file__).parents[1] / "generator" / "demo" / "lenet5.onnx"

W = random(4, 3, 3, 3)
B = random(4)
M = random(6, 5)


def test_demo_model() -> None:
    graph = check(DEMO)
    assert [task.name for task in graph.tasks] == ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("file", "tasks"),
    [
        ("mnist-8", 5),
        ("lenet5_jinsoo", 7),
        ("ad01_autoencoder_fp32", 10),
        ("resnet8_cifar10_mlperf_fp32", 14),
    ],
)
def test_models_of_others(file: str, tasks: int) -> None:
    graph = check(DATA / f"{file}.onnx")
    assert len(graph.tasks) == tasks
    recorded = np.load(DATA / f"{file}.npz")
    assert recorded is not None


OPERATORS = {
    "conv": ([node("Conv", ["x", "w", "b"], "y")], (1, 3, 8, 9), {"w": W, "b": B}),
    "conv_strided": (
        [node("Conv", ["x", "w"], "y", strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2])],
        (1, 3, 9, 9),
        {"w": W},
    ),
    "conv_pointwise": ([node("Conv", ["x", "w"], "y")], (1, 3, 4, 5), {"w": random(2, 3, 1, 1)}),
    "conv_same": (
        [node("Conv", ["x", "w"], "y", auto_pad="SAME_UPPER", strides=[2, 2])],
        (1, 3, 8, 7),
        {"w": W},
    ),
    "conv_same_lower": (
        [node("Conv", ["x", "w"], "y", auto_pad="SAME_LOWER", strides=[2, 2])],
        (1, 3, 8, 7),
        {"w": W},
    ),
    "conv_valid": ([node("Conv", ["x", "w"], "y", auto_pad="VALID")], (1, 3, 8, 7), {"w": W}),
    "gemm": ([node("Gemm", ["x", "m"], "y")], (1, 6), {"m": M}),
    "gemm_all": (
        [node("Gemm", ["x", "m", "c"], "y", alpha=0.5, beta=2.0, transB=1)],
        (1, 5),
        {"m": M, "c": random(1, 6)},
    ),
    "gemm_scalar_bias": ([node("Gemm", ["x", "m", "c"], "y")], (1, 6), {"m": M, "c": 0.5}),
    "matmul": ([node("MatMul", ["x", "m"], "y")], (1, 6), {"m": M}),
    "matmul_rows": ([node("MatMul", ["x", "m"], "y")], (1, 7, 6), {"m": M}),
    "matmul_rows_bias": (
        [node("MatMul", ["x", "m"], "a"), node("Add", ["c", "a"], "y")],
        (1, 7, 6),
        {"m": M, "c": random(5)},
    ),
    "max_pool": (
        [node("MaxPool", ["x"], "y", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 0, 2])],
        (1, 3, 8, 8),
        {},
    ),
    "max_pool_dilated": (
        [node("MaxPool", ["x"], "y", kernel_shape=[2, 2], dilations=[2, 3])],
        (1, 3, 8, 8),
        {},
    ),
    "max_pool_same": (
        [node("MaxPool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")],
        (1, 3, 8, 9),
        {},
    ),
    "global_max_pool": ([node("GlobalMaxPool", ["x"], "y")], (1, 3, 4, 5), {}),
    "average_pool": (
        [node("AveragePool", ["x"], "y", kernel_shape=[2, 3], strides=[2, 2])],
        (1, 3, 8, 8),
        {},
    ),
    "average_pool_padded": (
        [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], pads=[1, 0, 2, 1], count_include_pad=1)],
        (1, 3, 6, 6),
        {},
    ),
    "average_pool_ceil": (
        [node("AveragePool", ["x"], "y", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)],
        (1, 3, 6, 8),
        {},
    ),
    "global_average_pool": ([node("GlobalAveragePool", ["x"], "y")], (1, 3, 4, 5), {}),
    "mean": ([node("ReduceMean", ["x"], "y", axes=[2, 3])], (1, 3, 4, 5), {}),
    "relu_on_input": ([node("Relu", ["x"], "y")], (1, 3, 4, 5), {}),
    "clip_on_input": ([node("Clip", ["x", "low", "high"], "y")], (1, 3, 4, 5), {"low": -0.5, "high": 0.25}),
    "clip_low_only": ([node("Clip", ["x", "low"], "y")], (1, 3, 4, 5), {"low": -0.5}),
    "clip_high_only": ([node("Clip", ["x", "", "high"], "y")], (1, 3, 4, 5), {"high": 0.5}),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_operator(case: str) -> None:
    nodes, shape, constants = OPERATORS[case]
    graph = check(make_model(nodes, shape, constants))
    assert len(graph.tasks) == 1


@pytest.mark.parametrize("opset", [13, 17, 18, 22])
def test_mean_without_axes(opset: int) -> None:
    axes = {"axes": [-1, -2]} if opset < 18 else {}
    mean = node("ReduceMean", ["x", "a"][: 1 if axes else 2], "p", keepdims=0, **axes)
    model = make_model(
        [mean, node("Gemm", ["p", "m"], "y")], (1, 6, 4, 4), {"m": M, "a": [-1, -2]}, opset=opset
    )
    assert [task.operator.name for task in check(model).tasks] == ["AveragePool", "Dense"]


def test_clip_of_opset_6() -> None:
    model = make_model([node("Clip", ["x"], "y", min=-0.5, max=0.25)], (1, 3, 4, 5), opset=10)
    assert check(model).tasks[0].clamp == (-0.5, 0.25)


def test_clip_with_crossed_bounds_gives_the_maximum() -> None:
    model = make_model([node("Clip", ["x", "a", "b"], "y")], (1, 3, 4, 5), {"a": 2.0, "b": 1.0})
    assert check(model).tasks[0].clamp == (1.0, 1.0)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=pairs,
    stride=pairs,
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    auto_pad=st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
)
@settings(max_examples=40, deadline=None)
def test_conv_geometry(size, kernel, stride, dilation, pads, auto_pad) -> None:
    attributes = {"pads": pads} if auto_pad == "NOTSET" else {"auto_pad": auto_pad}
    dilation = (1, 1) if "SAME" in auto_pad else dilation
    conv = node("Conv", ["x", "w"], "y", strides=stride, dilations=dilation, **attributes)
    check(make_model([conv], (1, 2, *size), {"w": random(3, 2, *kernel)}), samples=1)


@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    ceil_mode=st.integers(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_pool_geometry(size, kernel, stride, pads, ceil_mode) -> None:
    attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads, "ceil_mode": ceil_mode}
    check(make_model([node("MaxPool", ["x"], "y", **attributes)], (1, 2, *size), opset=22), samples=1)
    for include in (0, 1):
        average = node("AveragePool", ["x"], "y", count_include_pad=include, **attributes)
        check(make_model([average], (1, 2, *size), opset=22), samples=1)


# Styles of exporters


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


@pytest.mark.parametrize("case", FLATTENS)
def test_flatten_styles(case: str) -> None:
    flatten, constants = FLATTENS[case]
    graph = check(conv_net(flatten, constants))
    assert [task.operator.name for task in graph.tasks] == ["Conv", "MaxPool", "Dense"]
    assert graph.tasks[0].clamp == (0, np.inf)


@pytest.mark.skipif(NEWEST < 28, reason="SpaceToDepth has modes since opset 28")
@pytest.mark.parametrize("mode", ["DCR", "CRD", None])
def test_newest_operators_that_older_runtimes_know(mode: str | None) -> None:
    attributes = {} if mode is None else {"mode": mode}
    nodes = [node("SpaceToDepth", ["x"], "d", blocksize=2, **attributes), node("Relu", ["d"], "y")]
    model = make_model(nodes, (1, 3, 4, 6), opset=28)
    imported = import_model(model)
    assert max(entry.version for entry in imported.model.opset_import) <= 17
    x = random(1, 3, 4, 6)
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    found = golden.run_float(passes.run(imported.graph), {"x": x[np.newaxis]})["y"]
    np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 13, 17, 21, 22, NEWEST])
def test_opsets(opset: int) -> None:
    check(conv_net([node("Dropout", ["p"], "d"), node("Flatten", ["d"], "f")], opset=opset))


@pytest.mark.parametrize("shape", [("N", 3, 8, 8), (None, 3, 8, 8), (1, 3, 8, 8), (4, 3, 8, 8)])
def test_batch_sizes(shape) -> None:
    imported = import_model(conv_net([node("Flatten", ["p"], "f")], input_shape=shape))
    assert imported.graph.tensors["x"].shape == (1, 3, 8, 8)
    assert (any("batch size of 4" in note for note in imported.notes)) == (shape[0] == 4)


@pytest.mark.parametrize("target", [[4, 36], [4, -1], [-1, 36], [4, 4, 9]])
def test_fixed_batch_in_reshape(target: list[int]) -> None:
    flatten = [node("Reshape", ["p", "s"], "q"), node("Flatten", ["q"], "f")]
    graph = check(conv_net(flatten, {"s": target}, input_shape=(4, 3, 8, 8)))
    assert graph.tensors["y"].shape == (1, 10)


def test_parameters_as_inputs_like_cntk() -> None:
    model = conv_net([node("Flatten", ["p"], "f")], opset=8)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert check(model).inputs == ("x",)


def test_flat_input_that_becomes_an_image() -> None:
    nodes = [node("Reshape", ["x", "s"], "i"), node("Conv", ["i", "w"], "y")]
    model = make_model(nodes, ("N", 64), {"s": [-1, 1, 8, 8], "w": random(4, 1, 3, 3)})
    graph = check(model)
    assert graph.tensors["x"].shape == (1, 1, 8, 8)
    assert "taken in shape (1, 1, 8, 8)" in import_model(model).notes[-1]


def test_channels_last_input_of_one_channel_like_tf2onnx() -> None:
    nodes = [node("Transpose", ["x"], "i", perm=[0, 3, 1, 2]), node("Conv", ["i", "w"], "y")]
    graph = check(make_model(nodes, ("N", 8, 8, 1), {"w": random(4, 1, 3, 3)}))
    assert graph.tensors["x"].shape == (1, 1, 8, 8)


@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax"])
def test_softmax_at_the_end_is_left_to_the_host(last: str) -> None:
    nodes = [node("Gemm", ["x", "m"], "logits"), node(last, ["logits"], "y", axis=1)]
    imported = import_model(make_model(nodes, (1, 6), {"m": M}))
    assert imported.host_tail == (f"{last} n_y",)
    assert imported.graph.outputs == ("logits",)
    assert [value.name for value in imported.model.graph.output] == ["y"]


def test_softmax_of_logits_that_are_an_output_too() -> None:
    nodes = [node("Gemm", ["x", "m"], "logits"), node("Softmax", ["logits"], "y")]
    imported = import_model(make_model(nodes, (1, 6), {"m": M}, output=["y", "logits"]))
    assert imported.graph.outputs == ("logits",)


def test_flatten_at_the_end_is_left_to_the_host() -> None:
    nodes = [node("GlobalAveragePool", ["x"], "a"), node("Flatten", ["a"], "f"), node("Softmax", ["f"], "y")]
    imported = import_model(make_model(nodes, (1, 3, 4, 4)))
    assert imported.host_tail == ("Flatten n_f", "Softmax n_y")
    assert passes.run(imported.graph).outputs == ("a",)


def test_channels_of_inputs_that_only_products_of_matrices_read() -> None:
    nodes = [
        node("Transpose", ["x"], "a", perm=[0, 2, 1, 3]),
        node("Transpose", ["x"], "b", perm=[0, 2, 3, 1]),
        node("MatMul", ["a", "b"], "y"),
    ]
    assert check(make_model(nodes, (1, 5, 2, 6))).tensors["x"].channel_axis == 3
    moved = [node("Transpose", ["x"], "a", perm=[0, 1, 3, 2]), node("Conv", ["a", "w"], "y")]
    assert check(make_model(moved, IMAGE, {"w": W})).tensors["x"].channel_axis == 1


def test_identities_are_removed_and_output_names_kept() -> None:
    nodes = [
        node("Identity", ["x"], "i"),
        node("Gemm", ["i", "m"], "g"),
        node("Cast", ["g"], "c", to=TensorProto.FLOAT),
        node("Identity", ["c"], "y"),
    ]
    graph = check(make_model(nodes, (1, 6), {"m": M}))
    assert [(task.inputs, task.output) for task in graph.tasks] == [(("x",), "y")]


def test_unused_inputs_and_dead_nodes_are_dropped() -> None:
    model = make_model(
        [node("Relu", ["x"], "dead"), node("Gemm", ["x", "m"], "y")], (1, 6), {"m": M, "z": M}, output="y"
    )
    model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, (1, 3)))
    imported = import_model(model)
    assert imported.graph.inputs == ("x",)
    assert [tensor.name for tensor in imported.model.graph.initializer] == ["m"]
    assert "'extra' is not used" in imported.notes[-1]


def test_unsorted_and_unnamed_nodes() -> None:
    model = conv_net([node("Flatten", ["p"], "f")])
    nodes = list(model.graph.node)[::-1]
    for each in nodes:
        each.name = ""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert [task.name for task in check(model).tasks] == ["conv1", "maxpool1", "dense1"]


def test_repeated_node_names_become_unique() -> None:
    nodes = [node("Gemm", ["x", "m"], "a"), node("Gemm", ["a", "n"], "y")]
    for each in nodes:
        each.name = "fc"
    assert [task.name for task in check(make_model(nodes, (1, 6), {"m": M, "n": random(5, 2)})).tasks] == [
        "fc",
        "dense1",
    ]


def test_weights_through_nodes_are_folded() -> None:
    nodes = [
        node("Reshape", ["m", "s"], "m1"),
        node("Transpose", ["m1"], "m2", perm=[1, 0]),
        node("MatMul", ["x", "m2"], "y"),
    ]
    assert len(check(make_model(nodes, (1, 5), {"m": random(3, 2, 5), "s": [6, 5]})).tasks) == 1


def test_local_functions_are_inlined() -> None:
    body = [helper.make_node("MatMul", ["a", "b"], ["c"], name="inner")]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "Linear", ["a", "b"], ["c"], body, opsets)
    model = make_model(
        [helper.make_node("Linear", ["x", "m"], ["y"], name="outer", domain="local")], (1, 6), {"m": M}
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    assert len(check(model).tasks) == 1


@pytest.mark.parametrize(
    ("elements", "kind"), [(TensorProto.DOUBLE, "float64"), (TensorProto.FLOAT16, "float16")]
)
def test_other_floats_become_float32(elements: int, kind: str) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(elements)
    model = make_model(
        [node("Conv", ["x", "w"], "c"), node("Relu", ["c"], "y")], (1, 3, 6, 6), elements=elements
    )
    model.graph.initializer.append(numpy_helper.from_array(W.astype(dtype), "w"))
    assert f"{kind} became float32" in import_model(model).notes
    check(model)


@pytest.mark.parametrize("case", FLATTENS)
@pytest.mark.parametrize("batch", ["N", 4])
def test_the_normalised_model_takes_batches(case: str, batch: int | str) -> None:
    flatten, constants = FLATTENS[case]
    model = import_model(conv_net(flatten, constants, input_shape=(batch, 3, 8, 8))).model
    x = random(5, 3, 8, 8)
    names = ["c", "y"]
    together = run_onnxruntime(model, {"x": x}, names)
    for i in range(5):
        alone = run_onnxruntime(model, {"x": x[i : i + 1]}, names)
        np.testing.assert_allclose(together["y"][i], alone["y"][0], rtol=1e-5, atol=1e-5)


def test_the_users_model_stays_as_it_is() -> None:
    model = conv_net(*FLATTENS["shape_chain"], input_shape=(4, 3, 8, 8))
    before = copy.deepcopy(model)
    import_model(model)
    assert model.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)


def test_normalised_model_agrees_with_the_original() -> None:
    model = conv_net(*FLATTENS["shape_chain"])
    x = {"x": random(1, 3, 8, 8)}
    expected = run_onnxruntime(model, x, ["y"])["y"]
    np.testing.assert_array_equal(run_onnxruntime(import_model(model).model, x, ["y"])["y"], expected)


def test_external_data(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(
        conv_net([node("Flatten", ["p"], "f")]),
        file,
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    assert len(check(file).tasks) == 3
    with pytest.raises(IntarsiaError, match="given without its folder"):
        import_model(onnx.load(file, load_external_data=False))
    (tmp_path / "w.bin").write_bytes(b"short")
    with pytest.raises(IntarsiaError, match="cannot be read"):
        import_model(file)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(IntarsiaError, match=r"'w\.bin', which is not beside it"):
        import_model(file)


# Files that are no models


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world, this is text\n", "looks like text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x00\x01\x02\x03\x04", "not an ONNX model"),
    ],
)
def test_files_that_are_not_onnx(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(IntarsiaError, match=message):
        import_model(file)


def test_truncated_file(tmp_path: Path) -> None:
    content = conv_net([node("Flatten", ["p"], "f")]).SerializeToString()
    file = tmp_path / "model.onnx"
    for length in (10, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(IntarsiaError):
            import_model(str(file))


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_an_error_without_traceback(tmp_path_factory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(IntarsiaError):
        import_model(file)


@given(position=st.floats(0, 1), value=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_gives_an_error_or_a_model(tmp_path_factory, position: float, value: int) -> None:
    content = bytearray(conv_net(*FLATTENS["shape_chain"]).SerializeToString())
    content[int(position * (len(content) - 1))] = value
    file = tmp_path_factory.mktemp("bytes") / "model.onnx"
    file.write_bytes(content)
    try:
        passes.run(import_model(file).graph)
    except IntarsiaError as error:
        assert str(error)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(IntarsiaError, match="does not exist"):
        import_model(tmp_path / "missing.onnx")
    with pytest.raises(IntarsiaError, match=r"holds no \.onnx file"):
        import_model(tmp_path)
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(IntarsiaError, match=r"holds net\.onnx: name one"):
        import_model(tmp_path)
    with pytest.raises(IntarsiaError, match="not int"):
        import_model(3)  # type: ignore[arg-type]


# Models that are refused

NAN = W.copy()
NAN[1, 2, 0, 0] = np.nan
IMAGE = (1, 3, 8, 8)
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

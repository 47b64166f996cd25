"""Every ONNX operator that the front end knows, and the geometry of windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_models import DATA, DEMO, B, M, W
from onnx_models import check, make_model, node, random


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

"""Operators that become several tasks: the float result is ONNX Runtime's, golden and C++ agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graphs import quantised
from machines import assert_equals_golden, pure_schedule
from onnx_models import check, make_model, node, random

from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.quantise import QuantiseOptions

Case = tuple[onnx.NodeProto, tuple[int, ...], dict[str, Any], int]


def norm(op_type: str, shape: tuple[int, ...], **attributes: Any) -> Case:
    constants = {"s": random(shape[0], seed=3), "b": random(shape[0], seed=4)}
    return node(op_type, ["x", "s", "b"], "y", **attributes), shape, constants, 21


def resized(shape: tuple[int, ...], scales: list[float], opset: int = 19, **attributes: Any) -> Case:
    constants = {"s": np.array([1.0, 1.0, *scales])}
    return node("Resize", ["x", "", "s"], "y", **attributes), shape, constants, opset


def cropped(region: list[float], **attributes: Any) -> Case:
    """Of images of 5 rows and 6 columns, to 4 rows and 7 columns."""
    low, high = np.split(np.array(region), 2)
    constants = {"r": np.array([0.0, 0, *low, 1, 1, *high]), "s": np.array([1, 3, 4, 7])}
    crop = node(
        "Resize", ["x", "r", "", "s"], "y", coordinate_transformation_mode="tf_crop_and_resize", **attributes
    )
    return crop, (3, 5, 6), constants, 19


CASES: dict[str, Case] = {
    "instance norm": norm("InstanceNormalization", (4, 5, 6)),
    "instance norm of a signal": norm("InstanceNormalization", (4, 15), epsilon=1e-3),
    "group norm": norm("GroupNormalization", (6, 4, 5), num_groups=2),
    "lrn": (node("LRN", ["x"], "y", size=3, alpha=0.3, beta=0.6, bias=1.5), (6, 5, 4), {}, 17),
    "lrn, even size": (node("LRN", ["x"], "y", size=4, alpha=0.3), (6, 9), {}, 17),
    "prelu": (
        node("PRelu", ["x", "s"], "y"),
        (6, 4, 5),
        {"s": np.linspace(-0.5, 0.9, 6).reshape(6, 1, 1)},
        17,
    ),
    "prelu, steep": (
        node("PRelu", ["x", "s"], "y"),
        (6, 4, 5),
        {"s": np.linspace(-0.5, 1.9, 6).reshape(6, 1, 1)},
        17,
    ),
    "dilated mean": (
        node("AveragePool", ["x"], "y", kernel_shape=[2, 3], dilations=[2, 1]),
        (3, 6, 7),
        {},
        19,
    ),
    "mean without padding": (
        node("AveragePool", ["x"], "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 1]),
        (3, 6, 7),
        {},
        19,
    ),
    "mean over the border": (
        node("AveragePool", ["x"], "y", kernel_shape=[3], strides=[2], ceil_mode=1),
        (3, 8),
        {},
        19,
    ),
    "linear by 2": resized((3, 4, 5), [2.0, 2.0], mode="linear"),
    "linear by 2 and 3": resized((3, 4, 5), [2.0, 3.0], mode="linear"),
    "linear, corners aligned": resized(
        (3, 4, 5), [2.0, 2.0], mode="linear", coordinate_transformation_mode="align_corners"
    ),
    "linear, asymmetric": resized(
        (3, 4, 5), [2.0, 2.0], mode="linear", coordinate_transformation_mode="asymmetric"
    ),
    "linear, smaller": resized((3, 6, 5), [0.5, 1.6], mode="linear"),
    "cubic by 2": resized((3, 6, 7), [2.0, 2.0], mode="cubic"),
    "nearest, uneven": resized((3, 4, 5), [1.6, 2.2], mode="nearest"),
    "nearest, smaller": resized((3, 7, 5), [0.6, 1.0], mode="nearest"),
    "linear signal": resized((3, 8), [2.0], mode="linear"),
    "linear to a size": (
        node("Resize", ["x", "", "", "s"], "y", mode="linear"),
        (3, 4, 5),
        {"s": np.array([1, 3, 6, 7])},
        19,
    ),
    "cropped": cropped([0.25, 0.1, 0.75, 0.9], mode="linear"),
    "cropped beyond the border": cropped([-0.3, 0.1, 0.75, 1.4], mode="linear", extrapolation_value=1.5),
    "cropped, nearest": cropped([0.25, -0.4, 0.75, 0.9]),
    "not cropped": cropped([0.0, 0.0, 1.0, 1.0], mode="linear"),
    "largest of volumes": (
        node(
            "MaxPool",
            ["x"],
            "y",
            kernel_shape=[2, 3, 2],
            strides=[1, 2, 2],
            pads=[1, 0, 0, 0, 1, 1],
            dilations=[2, 1, 1],
        ),
        (2, 4, 5, 6),
        {},
        17,
    ),
    "mean of volumes": (
        node("AveragePool", ["x"], "y", kernel_shape=[2, 3, 2], strides=[2, 1, 2], pads=[1, 1, 0, 0, 1, 1]),
        (2, 4, 5, 6),
        {},
        19,
    ),
    "mean of volumes, rounded up": (
        node("AveragePool", ["x"], "y", kernel_shape=[3, 2, 2], strides=[2, 2, 2], ceil_mode=1),
        (2, 4, 5, 6),
        {},
        19,
    ),
    "same mean of volumes": (
        node("AveragePool", ["x"], "y", kernel_shape=[2, 3, 3], strides=[1, 2, 2], auto_pad="SAME_LOWER"),
        (2, 4, 5, 6),
        {},
        19,
    ),
    "largest of a volume": (node("GlobalMaxPool", ["x"], "y"), (3, 2, 3, 4), {}, 17),
    "mean of a volume": (node("GlobalAveragePool", ["x"], "y"), (3, 2, 3, 4), {}, 17),
    "upsample": (
        node("Upsample", ["x", "s"], "y", mode="linear"),
        (3, 4, 5),
        {"s": np.array([1.0, 1.0, 2.0, 2.0])},
        9,
    ),
    "batch norm behind a reshape": (
        node("BatchNormalization", ["x", "s", "b", "m", "v"], "y"),
        (6, 10),
        {name: np.abs(random(6, seed=seed)) + 0.1 for seed, name in enumerate("sbmv")},
        17,
    ),
}
SIMULATED = (
    "instance norm",
    "group norm",
    "lrn",
    "prelu",
    "prelu, steep",
    "dilated mean",
    "mean without padding",
    "linear by 2",
    "linear, smaller",
    "cropped beyond the border",
    "largest of volumes",
    "mean of volumes",
)


def model_of(name: str) -> onnx.ModelProto:
    last, shape, constants, opset = CASES[name]
    return make_model([last], ["batch", *shape], constants, opset=opset)


@pytest.mark.parametrize("name", CASES)
def test_import(name: str) -> None:
    check(model_of(name))


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize(("lanes", "bits"), [(4, 8), (8, 16)])
def test_simulation_is_the_golden(name: str, lanes: int, bits: int) -> None:
    integers = quantised(check(model_of(name)), QuantiseOptions(8, bits))
    assert_equals_golden(integers, pure_schedule(integers, "sequential", lanes, 4))


def test_whole_factors_stay_in_place() -> None:
    """A depthwise convolution with exact weights, 1/16 to 9/16, and no product with a matrix."""
    integers = quantised(check(model_of("linear by 2")))
    (conv,) = (task for task in integers.tasks if task.operator.name == "DepthwiseConv")
    weights = conv.parameters["weight"]
    sixteenths = weights.values * np.reshape(weights.number.scales, (-1, 1, 1, 1)) * 16
    assert set(np.unique(sixteenths)) == {0, 1, 3, 9}
    assert all(task.operator.name != "Dense" for task in integers.tasks)


def test_resize_to_the_same_size_goes() -> None:
    same = node("Resize", ["x", "", "s"], "r", mode="linear")
    graph = check(make_model([same, node("Tanh", ["r"], "y")], [1, 3, 4, 5], {"s": np.ones(4)}, opset=19))
    assert [task.operator.name for task in graph.tasks] == ["Tanh"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 49, 113])
def test_a_crop_of_everything_is_a_resize(size: int) -> None:
    """However ONNX Runtime rounds the positions: rows and columns that stay are not taken for ones outside."""
    crop = node("Resize", ["x", "r", "", "s"], "y", coordinate_transformation_mode="tf_crop_and_resize")
    constants = {"r": np.array([0.0] * 4 + [1.0] * 4), "s": np.array([1, 2, size, size])}
    imported = import_model(
        make_model([crop, node("Tanh", ["y"], "z")], [1, 2, size, size], constants, opset=19)
    )
    assert [task.operator.name for task in imported.graph.tasks] == ["Tanh"]


def test_norm_without_factors_is_one_task() -> None:
    last = node("InstanceNormalization", ["x", "s", "b"], "y")
    graph = check(make_model([last], [1, 4, 5, 6], {"s": np.ones(4), "b": np.zeros(4)}))
    assert [task.operator.name for task in graph.tasks] == ["Move", "LayerNormalization"]


REFUSED: dict[str, tuple[Case, str]] = {
    "aspect ratio": (
        (
            node(
                "Resize",
                ["x", "", "", "s"],
                "y",
                mode="linear",
                axes=[2, 3],
                keep_aspect_ratio_policy="not_larger",
            ),
            (3, 4, 5),
            {"s": np.array([7, 8])},
            19,
        ),
        "Resize node 'n_y': keep_aspect_ratio_policy is 'not_larger'. Supported: stretch",
    ),
    "volume": (
        (node("LRN", ["x"], "y", size=3), (3, 4, 5, 6), {}, 17),
        r"LRN node 'n_y': its input has shape \(1, 3, 4, 5, 6\). Supported: images",
    ),
    "groups": (
        norm("GroupNormalization", (6, 4, 5), num_groups=4),
        "6 channels are no multiple of num_groups, 4",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    (last, shape, constants, opset), message = REFUSED[case]
    with pytest.raises(IntarsiaError, match=message):
        import_model(make_model([last], [1, *shape], constants, opset=opset))

"""ConvTranspose as a convolution of all phases and a move: float, golden and C++."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import quantised
from machines import assert_equals_golden, pure_schedule
from onnx_models import check, make_model, node, random

from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.ops.depthwise_conv import DepthwiseConv
from intarsia.task_graph import TaskGraph

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    # shape of x, shape of w (channels, outputs of a group, kernel), attributes
    "stride 1": ((3, 5, 4), (3, 4, 3, 2), {}),
    "stride 1, padded and dilated": ((3, 6, 7), (3, 4, 3, 2), {"pads": [1, 0, 2, 1], "dilations": [2, 1]}),
    "unet": ((4, 5, 6), (4, 3, 2, 2), {"strides": [2, 2]}),
    "dcgan": ((3, 4, 4), (3, 5, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "output padding": (
        (3, 4, 5),
        (3, 5, 3, 3),
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    ),
    "uneven": ((3, 4, 5), (3, 2, 3, 5), {"strides": [3, 2], "pads": [0, 2, 1, 1]}),
    "kernel below stride": ((3, 4, 5), (3, 2, 2, 1), {"strides": [3, 2]}),
    "dilated": ((3, 4, 5), (3, 2, 3, 2), {"strides": [2, 2], "dilations": [2, 3]}),
    "pads beyond the kernel": ((3, 6, 6), (3, 2, 2, 2), {"strides": [2, 2], "pads": [3, 2, 2, 4]}),
    "same upper": ((3, 4, 5), (3, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "same lower": ((3, 4, 5), (3, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "output shape": ((3, 4, 5), (3, 2, 3, 3), {"strides": [3, 2], "output_shape": [10, 11]}),
    "groups": ((4, 4, 5), (4, 3, 3, 3), {"strides": [2, 2], "group": 2}),
    "depthwise": ((5, 4, 5), (5, 1, 4, 4), {"strides": [2, 2], "group": 5, "pads": [1, 1, 1, 1]}),
    "signal": ((3, 9), (3, 4, 5), {"strides": [2], "pads": [2, 1], "output_padding": [1]}),
    "depthwise signal": ((3, 9), (3, 1, 4), {"strides": [2], "group": 3}),
}


def transposed(name: str) -> TaskGraph:
    shape, weight, attributes = CASES[name]
    outputs = weight[1] * attributes.get("group", 1)
    constants = {"w": 0.3 * random(*weight, seed=3), "b": random(outputs, seed=4)}
    layers = [node("ConvTranspose", ["x", "w", "b"], "y", **attributes)]
    return check(make_model(layers, ["batch", *shape], constants))


@pytest.mark.parametrize("name", CASES)
def test_import(name: str) -> None:
    transposed(name)


@pytest.mark.parametrize("name", ["stride 1", "unet", "output padding", "groups", "depthwise", "signal"])
@pytest.mark.parametrize("lanes", [4, 8])
def test_simulation_is_the_golden(name: str, lanes: int) -> None:
    integers = quantised(transposed(name))
    assert_equals_golden(integers, pure_schedule(integers, "sequential", lanes, 4))


def test_no_zeros_are_multiplied() -> None:
    """4 x 4 kernel, stride 2: 4 products for each output and channel, a quarter of those with zeros inserted."""
    graph = transposed("dcgan")
    assert sum(task.operator.macs(task, graph) for task in graph.tasks) == 4 * 3 * 5 * (5 * 5) * 4
    assert [task.operator.name for task in graph.tasks] == ["Conv", "Move"]


def test_depthwise_stays_depthwise() -> None:
    assert any(isinstance(task.operator, DepthwiseConv) for task in transposed("depthwise").tasks)


def test_bias_is_optional() -> None:
    check(
        make_model(
            [node("ConvTranspose", ["x", "w"], "y", strides=[2, 2])], [1, 2, 3, 3], {"w": random(2, 3, 2, 2)}
        )
    )


REFUSED = {
    "volumes": ([1, 2, 3, 3, 3], random(2, 3, 2, 2, 2), "ConvTranspose node 'n_y'.*(1, 2, 3, 3, 3).*images"),
    "computed weight": ([1, 2, 3, 3], None, "ConvTranspose node 'n_y': input 1, 'w', is computed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    shape, weight, message = REFUSED[case]
    nodes = [node("ConvTranspose", ["x", "w"], "y")]
    if weight is None:
        nodes.insert(0, node("Sigmoid", ["x"], "w"))
    with pytest.raises(IntarsiaError, match=message.replace("(", r"\(").replace(")", r"\)")):
        import_model(make_model(nodes, shape, {} if weight is None else {"w": np.asarray(weight)}))

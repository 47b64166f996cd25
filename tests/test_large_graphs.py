"""The front end and the passes on graphs of thousands of nodes: their cost grows with the number of nodes, no faster.

The bounds on time are loose, ten times what a slow machine needs; quadratic steps would exceed them many times over.
"""

from __future__ import annotations

import time

import onnx
from onnx_models import check, make_model, node, random

from intarsia import passes
from intarsia.frontend import import_model

SHAPE = (1, 4, 4, 4)
WEIGHT = {"w": random(4, 4, 3, 3)}


def conv_relu_add(blocks: int) -> onnx.ModelProto:
    """Blocks of Conv, Relu and the sum with the block's input, without node names."""
    nodes, x = [], "x"
    for block in range(blocks):
        y = "y" if block == blocks - 1 else f"y{block}"
        nodes += [
            node("Conv", [x, "w"], f"c{block}", pads=[1] * 4),
            node("Relu", [f"c{block}"], f"r{block}"),
            node("Add", [f"r{block}", x], y),
        ]
        x = y
    for one in nodes:
        one.name = ""
    return make_model(nodes, SHAPE, WEIGHT)


def seconds_of(model: onnx.ModelProto) -> tuple[float, int]:
    start = time.perf_counter()
    tasks = len(passes.run(import_model(model).graph).tasks)
    return time.perf_counter() - start, tasks


def test_ten_thousand_nodes() -> None:
    taken, tasks = seconds_of(conv_relu_add(3334))
    assert tasks == 2 * 3334
    assert taken < 20


def test_thousands_of_nodes_that_do_nothing() -> None:
    nodes = [node("Conv", ["x", "w"], "t0", pads=[1] * 4)]
    for index in range(4000):
        kind = ("Identity", "Dropout", "Relu")[index % 3]
        nodes.append(node(kind, [f"t{index}"], "y" if index == 3999 else f"t{index + 1}"))
    taken, tasks = seconds_of(make_model(nodes, SHAPE, WEIGHT))
    assert tasks == 1
    assert taken < 10


def test_many_clamps_behind_a_flatten_go_before_it() -> None:
    """Results too, on a size that ONNX Runtime checks."""
    nodes = [node("Conv", ["x", "w"], "t0", pads=[1] * 4)]
    kinds = ("Identity", "Relu", "Flatten", *["Relu"] * 9)
    nodes += [node(kind, [f"t{index}"], f"t{index + 1}") for index, kind in enumerate(kinds)]
    nodes.append(node("MatMul", [f"t{len(kinds)}", "m"], "y"))
    graph = check(make_model(nodes, SHAPE, {**WEIGHT, "m": random(64, 3)}))
    assert [task.operator.name for task in graph.tasks] == ["Conv", "Dense"]

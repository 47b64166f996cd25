"""Broadcasting, chains of operands, selections and reductions: like ONNX Runtime, and bit for bit in hardware."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import quantised, stress_inputs
from machines import assert_equals_golden
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_qdq import assert_exact

from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.schedule.pure import sequential

MATRIX = (1, 6, 5)
SIGMOID = node("Sigmoid", ["x"], "s")
CASES = {
    "channel_gate": (
        [
            node("Conv", ["x", "w"], "a"),
            node("GlobalAveragePool", ["a"], "g"),
            node("Mul", ["a", "g"], "y"),
        ],
        (1, 3, 6, 5),
        {"w": random(5, 3, 3, 3)},
    ),
    "both_broadcast": (
        [
            node("ReduceMean", ["x"], "a", axes=[1]),
            node("ReduceMean", ["x"], "b", axes=[2]),
            node("Add", ["a", "b"], "y"),
        ],
        MATRIX,
        {},
    ),
    "lower_rank": (
        [
            node("ReduceMean", ["x"], "a", axes=[1, 3], keepdims=0),
            node("Add", ["x", "a"], "y"),
        ],
        (1, 3, 1, 5),
        {},
    ),
    "sum": (
        [SIGMOID, node("Relu", ["x"], "r"), node("Sum", ["x", "c", "s", "d", "r"], "y")],
        MATRIX,
        {"c": random(6, 5), "d": random(5)},
    ),
    "mean": ([SIGMOID, node("Exp", ["x"], "e"), node("Mean", ["x", "s", "e"], "y")], MATRIX, {}),
    "sum_of_one": ([SIGMOID, node("Sum", ["s"], "y")], MATRIX, {}),
    "max": ([SIGMOID, node("Max", ["x", "s", "c"], "y")], MATRIX, {"c": random(6, 1)}),
    "min_of_a_number": ([node("Min", ["c", "x"], "y")], (1, 3, 4, 5), {"c": 0.25}),
    "where_constant": (
        [node("Where", ["c", "x", "d"], "y")],
        MATRIX,
        {"c": random(6, 5) > 0, "d": random(5)},
    ),
    "where_computed": (
        [
            node("ReduceMax", ["x"], "m", axes=[2]),
            node("Where", ["c", "m", "x"], "y"),
        ],
        MATRIX,
        {"c": random(6, 5) > 0},
    ),
    "triangle": ([node("Trilu", ["x", "k"], "y", upper=0)], (1, 2, 5, 5), {"k": np.array(1)}),
    "quotient": (
        [
            node("Exp", ["x"], "e"),
            node("ReduceMean", ["e"], "m", axes=[-1]),
            node("Div", ["e", "m"], "y"),
        ],
        MATRIX,
        {},
    ),
    "quotient_of_a_constant": (
        [node("Exp", ["x"], "e"), node("Div", ["c", "e"], "y")],
        MATRIX,
        {"c": random(6, 5)},
    ),
    "constant_matrix_first": ([node("MatMul", ["c", "x"], "y")], MATRIX, {"c": random(4, 6)}),
    "more_batches": ([node("MatMul", ["x", "c"], "y")], (1, 1, 6, 5), {"c": random(3, 5, 4)}),
    **{
        f"{name}_{'_'.join(map(str, axes))}": (
            [node(name, ["x"], "y", axes=axes, keepdims=number % 2)],
            (1, 3, 4, 5),
            {},
        )
        for name in ("ReduceMean", "ReduceMax", "ReduceMin")
        for number, axes in enumerate([[1], [2], [-1], [1, 2], [1, 3], [2, 3], [1, 2, 3]])
    },
    **{
        f"ReduceSum_{'_'.join(map(str, axes))}": (
            [node("ReduceSum", ["x", "a"], "y", keepdims=number % 2)],
            (1, 3, 4, 5),
            {"a": np.array(axes)},
        )
        for number, axes in enumerate([[1], [2], [-1], [1, 3], [3, 2, 1]])
    },
    "l1": ([node("ReduceL1", ["x"], "y", axes=[2])], MATRIX, {}),
    "l2": ([node("ReduceL2", ["x"], "y", axes=[1], keepdims=0)], MATRIX, {}),
    "sum_of_squares": ([node("ReduceSumSquare", ["x"], "y", axes=[1, 2])], MATRIX, {}),
    "log_sum_exp": ([node("ReduceLogSumExp", ["x"], "y", axes=[2])], MATRIX, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_simulation_and_onnx_runtime_equal_the_golden(case: str) -> None:
    nodes, shape, constants = CASES[case]
    integers = quantised(check_import(make_model(nodes, shape, constants)))
    assert_exact(integers, stress_inputs(integers))
    assert_equals_golden(integers, sequential(integers, 4, 4))


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("ReduceMean", ["x"], "y", axes=[0])], {}, "n_y.*reduces axis 0 of 'x' .*the batch"),
        ([node("ReduceMax", ["x"], "y")], {}, "reduces axis 0"),
        ([node("Greater", ["x", "z"], "g"), node("Where", ["g", "x", "x"], "y")], {"z": 0.0}, "Greater.*n_g"),
    ],
)
def test_refused(nodes: list, constants: dict, message: str) -> None:
    with pytest.raises(IntarsiaError, match=message):
        import_model(make_model(nodes, MATRIX, constants))

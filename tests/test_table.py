"""Functions of single elements: one table each, whole expressions fused into one, equal in every world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import Layer, chain, conv, dense, quantised, stress_inputs
from machines import assert_equals_golden, check
from onnx_models import check as check_import
from onnx_models import make_model, node, random
from test_mixed import PLENTY
from test_qdq import assert_exact

from intarsia import golden
from intarsia.arithmetic.table_values import table_values
from intarsia.errors import IntarsiaError
from intarsia.fixed_point import FixedPoint
from intarsia.frontend import import_model
from intarsia.graph_file import load_graph, save_graph
from intarsia.machine.units.kind import Run
from intarsia.machine.units.table import build_table
from intarsia.ops.function import Function
from intarsia.ops.functions import FUNCTIONS
from intarsia.ops.max_pool import MaxPool
from intarsia.ops.powers import Pow
from intarsia.ops.rectifiers import Elu, LeakyRelu
from intarsia.ops.sigmoids import Gelu, Sigmoid, Swish, Tanh
from intarsia.ops.table import Table
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Unit, Weights
from intarsia.task_graph import UNBOUNDED, TaskGraph

CASES: tuple[Table, ...] = (
    *(operator() for operator in FUNCTIONS),
    Gelu("tanh"),
    LeakyRelu(0.1),
    LeakyRelu(-0.25),
    Elu(0.3),
    Swish(1.702),
    *(Pow(exponent) for exponent in (0.5, 2.0, 3.0, -1.0, 0.3)),
    Function(
        (("Affine", (0.5, 1.0), (0,)), ("Tanh", (), (1,)), ("Mul", (), (0, 2)), ("Clamp", (None, 1.5), (3,)))
    ),
)
HALF_AND_FLOAT32_ERROR = 0.5 + 1e-3
"""Steps between a table and the real function: half of one, and what float32 is off at most (128 steps * 2**-17)."""


def one_function(operator: Table, source: FixedPoint, output: FixedPoint) -> TaskGraph:
    """A quantised graph of one function over all raw values."""
    size = 1 << source.bits
    graph = chain((size,), [(operator, {}, UNBOUNDED)])
    task = graph.tasks[0]
    tensors = {
        name: replace(graph.tensors[name], format=number) for name, number in (("x", source), ("t0", output))
    }
    parameters = operator.quantised_parameters(task, [source], output)
    return replace(graph, tensors=tensors, tasks=(replace(task, parameters=parameters),))


def every_value(number: FixedPoint) -> np.ndarray:
    return np.arange(number.minimum, number.maximum + 1, dtype=np.int64)


@pytest.mark.parametrize("operator", CASES, ids=str)
def test_table_is_onnxruntime_on_every_input(operator: Table) -> None:
    """Bit for bit, wherever the element lies in the tensor, and the real function rounded."""
    rng = np.random.default_rng(0)
    for source, output in (
        (FixedPoint(8, -4), FixedPoint(8, -5)),
        (FixedPoint(8, -6), FixedPoint(8, -7)),
        (FixedPoint(8, -1), FixedPoint(5, -2)),
        (FixedPoint(3, 0), FixedPoint(10, -6)),
    ):
        graph = one_function(operator, source, output)
        raw = every_value(source)
        orders = np.stack([raw, raw[::-1], *(rng.permutation(raw) for _ in range(3))])
        assert_exact(graph, {"x": orders[:, np.newaxis]})
        found = golden.run(graph, {"x": raw[np.newaxis, np.newaxis]})["t0"].reshape(-1)
        with np.errstate(all="ignore"):
            steps = operator.function(source.dequantise(raw)) / output.scale
        number = ~np.isnan(steps)
        error = np.abs(found - np.clip(steps, output.minimum, output.maximum))[number]
        assert error.max() <= HALF_AND_FLOAT32_ERROR


def test_a_clamp_is_in_the_table() -> None:
    graph = chain((6,), [(Tanh(), {}, (0.0, 0.5))])
    integers = quantised(graph)
    step = integers.tensors["t0"].number.scale
    table = integers.tasks[0].values["table"]
    assert table.min() == 0
    assert table.max() == 0.5 / step
    assert_exact(integers, stress_inputs(integers))


def test_float32_decides_at_a_border() -> None:
    """0.1 * 5 rounds to even, as 0.1f * 5 does not."""
    task = chain((4,), [(LeakyRelu(float(np.float32(0.1))), {}, UNBOUNDED)]).tasks[0]
    table = table_values(task, FixedPoint(8, 0), FixedPoint(8, 0))
    assert table[-5] == 0
    assert round(float(np.float32(0.1)) * 5) == 1


def activation(operator: Table) -> Layer:
    return operator, {}, UNBOUNDED


def linear(layer: Layer) -> Layer:
    return *layer[:2], UNBOUNDED


def network() -> TaskGraph:
    """Functions behind convolutions, before pools, one after the other, and last; channels that fill no word."""
    rng = np.random.default_rng(3)
    return chain(
        (3, 9, 8),
        [
            activation(Tanh()),
            linear(conv(rng, 3, 7, kernel=(3, 3), pads=(1, 1, 1, 1))),
            activation(Swish()),
            (MaxPool((2, 2), (2, 2)), {}, UNBOUNDED),
            linear(conv(rng, 7, 10, kernel=(1, 1))),
            activation(Gelu()),
            activation(LeakyRelu(0.2)),
            dense(rng, 10 * 4 * 4, 5),
            activation(Sigmoid()),
        ],
    )


@pytest.mark.parametrize("kind", ["sequential", "dataflow"])
@pytest.mark.parametrize(("lanes", "outputs"), [(4, 4), (12, 6), (8, 2), (32, 32)])
def test_simulation_is_the_golden(kind: str, lanes: int, outputs: int) -> None:
    check(network(), kind, lanes, outputs)


@pytest.mark.parametrize("engines", [(8,), (4, 8), (2, 4, 4)])
def test_mixed_schedules(engines: tuple[int, ...]) -> None:
    integers = quantised(network())
    assert_equals_golden(integers, mixed(integers, Engines(engines, 8), PLENTY))


@pytest.mark.parametrize("options", [QuantiseOptions(4, 5), QuantiseOptions(8, 12)], ids=str)
def test_other_widths(options: QuantiseOptions) -> None:
    check(network(), "sequential", 4, 4, options)


def test_convolution_function_and_pool_share_a_phase() -> None:
    integers = quantised(network())
    machine = assert_equals_golden(integers, mixed(integers, Engines((8,), 8), PLENTY))
    assert any(name.count(",") == 2 for name in machine.phase_names)


def test_memory_is_counted_per_two_lanes() -> None:
    integers = quantised(network())
    runs = [Run(0, task) for task in integers.tasks if isinstance(task.operator, Table)]
    unit = build_table(integers, Unit("table", "table"), runs, 16, Weights.RESIDENT)
    assert unit.entries == 256 * len(runs)
    assert [row.first for row in unit.rows] == [256 * index for index in range(len(runs))]
    assert unit.resources(16, 8).bram18 == 8  # 1280 entries of 8 bits fit a BRAM18
    assert unit.resources(12, 8).bram18 == 6


def test_graph_file_keeps_tables(tmp_path: Path) -> None:
    integers = quantised(chain((5,), [activation(CASES[-1]), activation(Swish(2.0))]))
    save_graph(integers, tmp_path / "graph.npz")
    loaded = load_graph(tmp_path / "graph.npz")
    inputs = stress_inputs(integers)
    assert [task.operator for task in loaded.tasks] == [task.operator for task in integers.tasks]
    np.testing.assert_equal(golden.run(loaded, inputs), golden.run(integers, inputs))


ONNX = {
    "Sigmoid": {},
    "Tanh": {},
    "LeakyRelu": {"alpha": 0.2},
    "Elu": {"alpha": 0.7},
    "Selu": {"alpha": 1.5, "gamma": 1.1},
    "Celu": {"alpha": 0.6},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "HardSwish": {},
    "Softplus": {},
    "Softsign": {},
    "Mish": {},
    "Gelu": {"approximate": "tanh"},
    "ThresholdedRelu": {"alpha": 0.5},
    "Exp": {},
    "Erf": {},
    "Abs": {},
    "Neg": {},
    "Floor": {},
    "Ceil": {},
    "Round": {},
    "Sign": {},
}


@pytest.mark.parametrize("op_type", ONNX)
def test_import(op_type: str) -> None:
    """Attributes arrive; the float function is ONNX Runtime's."""
    for attributes in (ONNX[op_type], {}):
        graph = check_import(
            make_model([node(op_type, ["x"], "y", **attributes)], ["batch", 3, 4, 5], opset=20)
        )
        (task,) = graph.tasks
        assert task.operator.name == op_type
        for name, value in attributes.items():
            expected = value if isinstance(value, str) else pytest.approx(value)
            assert getattr(task.operator, name) == expected


@pytest.mark.parametrize("op_type", ["Sqrt", "Log", "Reciprocal"])
def test_import_of_functions_of_positive_numbers(op_type: str) -> None:
    model = make_model([node("Exp", ["x"], "a"), node(op_type, ["a"], "y")], ["batch", 3, 4])
    assert [task.operator.name for task in check_import(model).tasks] == ["Function"]


@pytest.mark.parametrize("exponent", [2.0, 3, -2.0])
def test_import_of_powers(exponent: float) -> None:
    graph = check_import(make_model([node("Pow", ["x", "p"], "y")], [1, 3, 4, 5], {"p": exponent}, opset=17))
    assert graph.tasks[0].operator == Pow(exponent)


def test_import_of_one_slope() -> None:
    slopes = np.full((3, 1, 1), 0.3)
    graph = check_import(make_model([node("PRelu", ["x", "s"], "y")], [1, 3, 4, 5], {"s": slopes}))
    assert graph.tasks[0].operator == LeakyRelu(float(np.float32(0.3)))


REFUSED = {
    "exponents": (
        node("Pow", ["x", "c"], "y"),
        np.arange(12.0).reshape(3, 4, 1),
        "Pow node 'n_y'.*12 diff",
    ),
    "base": (node("Pow", ["c", "x"], "y"), 2.0, "Pow node 'n_y': input 0 must be computed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    last, constant, message = REFUSED[case]
    with pytest.raises(IntarsiaError, match=message):
        import_model(make_model([last], [1, 3, 4, 5], {"c": constant}))


def nodes(*lines: str) -> list[onnx.NodeProto]:
    """Nodes from lines like `a = Mul x half`."""
    made = []
    for line in lines:
        output, text = line.split(" = ")
        op_type, *inputs = text.split()
        made.append(node(op_type, inputs, output))
    return made


CONSTANTS = {
    name: np.float32(value)
    for name, value in {
        "half": 0.5,
        "one": 1.0,
        "two": 2.0,
        "three": 3.0,
        "six": 6.0,
        "zero": 0.0,
        "sqrt2": np.sqrt(2),
        "inv": np.sqrt(0.5),
        "root": np.sqrt(2 / np.pi),
        "cubic": 0.044715,
    }.items()
}
DECOMPOSED = {
    "gelu, old exporter": nodes(
        "a = Div x sqrt2", "b = Erf a", "c = Add b one", "d = Mul x c", "y = Mul d half"
    ),
    "gelu, new exporter": nodes(
        "a = Mul x inv", "b = Erf a", "c = Add one b", "d = Mul half x", "y = Mul d c"
    ),
    "gelu by tanh": nodes(
        "a = Pow x three",
        "b = Mul cubic a",
        "c = Add x b",
        "d = Mul root c",
        "e = Tanh d",
        "f = Add e one",
        "g = Mul x f",
        "y = Mul half g",
    ),
    "gelu by tanh, cube by products": nodes(
        "p = Mul x x",
        "a = Mul p x",
        "b = Mul a cubic",
        "c = Add b x",
        "d = Mul c root",
        "e = Tanh d",
        "f = Add e one",
        "g = Mul x half",
        "y = Mul g f",
    ),
    "silu": nodes("a = Sigmoid x", "y = Mul x a"),
    "hardswish by HardSigmoid": nodes("a = HardSigmoid x", "y = Mul x a"),
    "hardswish by Clip": nodes("a = Add x three", "b = Clip a zero six", "c = Mul x b", "y = Div c six"),
    "hardswish by Clip, divided first": nodes(
        "a = Add x three", "b = Clip a zero six", "c = Div b six", "y = Mul x c"
    ),
    "mish": nodes("a = Softplus x", "b = Tanh a", "y = Mul x b"),
    "logistic function": nodes("a = Neg x", "b = Exp a", "c = Add b one", "y = Reciprocal c"),
    "relu squared": nodes("a = Relu x", "y = Mul a a"),
    "a function of two functions": nodes("a = Sigmoid x", "b = Tanh x", "y = Max a b"),
}


@pytest.mark.parametrize("case", DECOMPOSED)
def test_decompositions_become_one_table(case: str) -> None:
    """Behind a convolution, which keeps what belongs to it; the name is the last node's."""
    layers = [node("Conv", ["image", "w"], "x", kernel_shape=[1, 1]), *DECOMPOSED[case]]
    layers.append(node("MaxPool", ["y"], "z", kernel_shape=[2, 2]))
    used = {name for layer in layers for name in layer.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in used}
    model = make_model(layers, [1, 3, 4, 5], constants | {"w": random(4, 3, 1, 1)})
    model.graph.input[0].name = "image"
    graph = check_import(model)
    first, second, third = graph.tasks
    assert [first.operator.name, third.operator.name] == ["Conv", "MaxPool"]
    assert second.output == "y"
    assert isinstance(second.operator, Function) or case == "relu squared"
    integers = quantised(graph)
    assert_exact(integers, stress_inputs(integers))


def test_what_others_read_stays() -> None:
    """The sigmoid is also pooled, so it is there, and SiLU is a table as well."""
    layers = nodes("a = Sigmoid x", "y = Mul x a")
    layers.append(node("MaxPool", ["a"], "z", kernel_shape=[2, 2]))
    graph = check_import(make_model(layers, [1, 3, 4, 4], output=["y", "z"]))
    assert {task.output: task.operator.name for task in graph.tasks} == {
        "a": "Sigmoid",
        "y": "Function",
        "z": "MaxPool",
    }


def test_gates_are_not_functions() -> None:
    """x * Sigmoid(conv(x)) depends on two tensors."""
    layers = [node("Conv", ["x", "w"], "c", kernel_shape=[1, 1]), *nodes("a = Sigmoid c", "y = Mul x a")]
    graph = check_import(make_model(layers, [1, 3, 4, 4], {"w": random(3, 3, 1, 1)}))
    assert [task.operator.name for task in graph.tasks] == ["Conv", "Sigmoid", "Mul"]


def test_factors_and_clamps_of_a_convolution_stay_with_it() -> None:
    layers = [node("Conv", ["x", "w"], "c", kernel_shape=[1, 1]), *nodes("d = Mul c two", "e = Relu d")]
    layers += nodes("a = Sigmoid e", "y = Mul e a")
    graph = check_import(make_model(layers, [1, 3, 4, 4], {"w": random(3, 3, 1, 1), "two": np.float32(2)}))
    conv_task, function = graph.tasks
    assert conv_task.clamp == (0, np.inf)
    assert isinstance(function.operator, Function)
    assert [step[0] for step in function.operator.steps] == ["Sigmoid", "Mul"]

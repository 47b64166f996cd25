"""LSTM, GRU and RNN, unrolled: the float result is ONNX Runtime's own, golden and C++ agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graphs import quantised
from machines import assert_equals_golden, pure_schedule
from onnx_models import check, make_model, node, random, run_onnxruntime

from intarsia import golden, passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.quantise import QuantiseOptions

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def network(
    op_type: str,
    steps: int = 3,
    features: int = 5,
    hidden: int = 4,
    *,
    last_only: bool = False,
    optional: dict[int, np.ndarray] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """As torch exports it with batch_first: Transpose, the operator, and back to (batch, steps, directions * hidden).

    `optional` are constant inputs by number. With `last_only` the last state is the result.
    """
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    gates = GATES[op_type]
    constants: dict[str, Any] = {
        "w": 0.5 * random(directions, gates * hidden, features, seed=1),
        "r": 0.5 * random(directions, gates * hidden, hidden, seed=2),
        "b": 0.2 * random(directions, 2 * gates * hidden, seed=3),
    }
    names = ["t", "w", "r", "b", "", "", "", ""]
    for index, values in (optional or {}).items():
        names[index] = f"o{index}"
        constants[names[index]] = values
    inputs = 8 if op_type == "LSTM" else 6
    results = ["ys", "h"] if last_only else ["ys"]
    layer = onnx.helper.make_node(
        op_type, names[:inputs], results, name="layer", hidden_size=hidden, **attributes
    )
    nodes = [node("Transpose", ["x"], "t", perm=[1, 0, 2]), layer]
    if last_only:
        constants["shape"] = np.array([1, directions * hidden])
        nodes += [node("Transpose", ["h"], "u", perm=[1, 0, 2]), node("Reshape", ["u", "shape"], "z")]
    else:
        constants["shape"] = np.array([steps, 1, directions * hidden])
        nodes += [
            node("Transpose", ["ys"], "u", perm=[0, 2, 1, 3]),
            node("Reshape", ["u", "shape"], "v"),
            node("Transpose", ["v"], "z", perm=[1, 0, 2]),
        ]
    nodes.append(node("Softsign", ["z"], "y"))
    return make_model(nodes, [1, steps, features], constants)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "lstm, last state": ("LSTM", {"last_only": True}),
    "lstm, reverse": ("LSTM", {"direction": "reverse"}),
    "lstm, both directions": ("LSTM", {"direction": "bidirectional"}),
    "lstm, both directions, last states": ("LSTM", {"direction": "bidirectional", "last_only": True}),
    "lstm, initial states": ("LSTM", {"optional": {5: random(1, 1, 4, seed=5), 6: random(1, 1, 4, seed=6)}}),
    "lstm, peepholes": ("LSTM", {"optional": {7: random(1, 12, seed=7)}}),
    "lstm, lengths": ("LSTM", {"optional": {4: np.array([3], np.int32)}}),
    "gru": ("GRU", {}),
    "gru, linear before reset": ("GRU", {"linear_before_reset": 1}),
    "gru, linear before reset, initial state": (
        "GRU",
        {"linear_before_reset": 1, "optional": {5: random(1, 1, 4, seed=5)}},
    ),
    "gru, initial state": ("GRU", {"optional": {5: random(1, 1, 4, seed=5)}}),
    "gru, both directions": ("GRU", {"direction": "bidirectional", "linear_before_reset": 1}),
    "rnn": ("RNN", {}),
    "rnn, relu": ("RNN", {"activations": ["Relu"]}),
}


@pytest.mark.parametrize("name", CASES)
def test_float_result_is_that_of_the_operator(name: str) -> None:
    """The reference model is already unrolled, so the model as it came is run as well."""
    op_type, options = CASES[name]
    model = network(op_type, **options)
    graph = check(model)
    x = random(1, 3, 5, seed=9)
    (expected,) = run_onnxruntime(model, {"x": x}, ["y"]).values()
    found = golden.run_float(graph, {"x": x[np.newaxis]})["y"][0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["lstm", "lstm, both directions, last states", "gru", "gru, linear before reset", "rnn"]
)
@pytest.mark.parametrize(("kind", "bits"), [("sequential", 8), ("sequential", 16)])
def test_simulation_is_the_golden(name: str, kind: str, bits: int) -> None:
    op_type, options = CASES[name]
    integers = quantised(check(network(op_type, **options)), QuantiseOptions(8, bits))
    assert_equals_golden(integers, pure_schedule(integers, kind, 4, 4))


def test_two_layers() -> None:
    """The second reads the first's results without a tensor whose first axis is time."""
    first = network("LSTM", steps=3, features=5, hidden=4)
    second = onnx.helper.make_node("GRU", ["v", "w2", "r2"], ["zs", "h"], name="second", hidden_size=6)
    graph = first.graph
    del graph.node[-2:], graph.output[:]
    graph.node.extend([second, node("Squeeze", ["h", "axis"], "k"), node("Tanh", ["k"], "y")])
    for name, values in (("w2", random(1, 18, 4)), ("r2", random(1, 18, 6)), ("axis", np.array([0]))):
        graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    graph.output.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None))
    found = check(first)
    assert all(tensor.shape[0] == 1 for tensor in found.tensors.values())


def test_sixteen_bits_are_close_to_float() -> None:
    """32 steps: errors of the states do not grow."""
    model = network("LSTM", steps=32, features=8, hidden=16)
    graph = passes.run(import_model(model).graph)
    integers = quantised(graph, QuantiseOptions(16, 16))
    x = random(1, 1, 32, 8, seed=1)
    real = golden.run_float(graph, {"x": x})["y"]
    raw = golden.run(integers, {"x": integers.tensors["x"].number.quantise(x)})["y"]
    assert np.abs(integers.tensors["y"].number.dequantise(raw) - real).max() < 2e-3


def test_only_what_is_read_is_joined() -> None:
    """Nothing of the states before the last is put together."""
    graph = check(network("LSTM", steps=6, last_only=True))
    sizes = {np.prod(tensor.shape) for name, tensor in graph.tensors.items() if "Concat" in name}
    assert not sizes


def test_steps_share_their_weights_and_tables() -> None:
    """One copy of the recurrence in the engine, and a table for each pair of formats only."""
    integers = quantised(check(network("LSTM", steps=6, last_only=True)))
    machine = assert_equals_golden(integers, pure_schedule(integers, "sequential", 4, 4))
    depths = {memory.name: memory.depth for memory in machine.parameters}
    assert (
        depths["engine_weights"] == 4 * 2 + 4 * 1
    )  # outputs / 4 times words of 5 inputs, and of 4 of the state
    tables = sum(task.operator.accumulates is False for task in integers.tasks)
    assert depths["table_tables"] < 256 * tables / 2


REFUSED: dict[str, tuple[onnx.ModelProto, str]] = {
    "long": (network("LSTM", steps=65), "LSTM node 'layer': its sequence has 65 steps. Supported: up to 64"),
    "lengths": (
        network("GRU", optional={4: np.array([2], np.int32)}),
        "GRU node 'layer': sequence_lens are given. Supported: all 3",
    ),
    "clip": (network("LSTM", clip=1.0), "LSTM node 'layer': it has a clip"),
    "input forget": (network("LSTM", input_forget=1), "input_forget is 1"),
    "activation": (
        network("RNN", activations=["Affine"], activation_alpha=[1.0], activation_beta=[0.0]),
        "activation 'Affine' is not supported. Supported: Sigmoid",
    ),
    "time first": (
        make_model(
            [onnx.helper.make_node("RNN", ["x", "w", "r"], ["y"], name="layer", hidden_size=4)],
            [7, 1, 5],
            {"w": random(1, 4, 5), "r": random(1, 4, 4)},
        ),
        "RNN node 'layer': axis 0 of the graph input 'x' is time.*batch_first",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    model, message = REFUSED[case]
    with pytest.raises(IntarsiaError, match=message):
        import_model(model)

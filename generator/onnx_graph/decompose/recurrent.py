"""LSTM, GRU and RNN, unrolled over time: the inputs of all steps times their weights at once, then step by step.

Per step: the state times its weights, the sum with the inputs' share, gates as slices of it, functions of single elements,
products and sums. All tensors are (1, rows, channels), with a row for each sample of ONNX's batch axis. Gates are in ONNX's
order: i, o, f, c; z, r, h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...operator import Array
from ..rewriter import attributes_of, error
from .decomposer import Decomposer
from .time_major import TimeMajor

MOST_STEPS = 64
"""Every step is a dozen tasks of its own, with a row in every program of the hardware."""
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_ACTIVATIONS = ("Sigmoid", "Tanh", "Relu", "Softsign", "Softplus")
"""Those without numbers of their own."""


@dataclass(frozen=True)
class _Cell:
    """One direction of a node: weights with a row for each gate's channel, and initial states.

    `bias` is added to the inputs' share, `state_bias` to the state's share of a GRU's last gate (linear_before_reset).
    States are names of tensors, or None for zeros.
    """

    hidden: int
    rows: int
    functions: tuple[str, ...]
    weight: Array
    recurrence: Array
    bias: Array
    state_bias: Array
    peepholes: Array
    linear_before_reset: bool
    state: str | None
    cell: str | None


def recurrent(into: Decomposer, times: TimeMajor, node: NodeProto) -> None:
    """The nodes of all steps of all directions.

    Raises:
        IntarsiaError: the sequence is too long, or the node asks for what is not supported.
    """
    given = attributes_of(node)
    shape = into.shape(node, node.input[0])
    first = bool(given.get("layout", 0))
    steps, rows = (shape[1], shape[0]) if first else shape[:2]
    if steps > MOST_STEPS:
        raise error(
            node,
            f"its sequence has {steps} steps. Supported: up to {MOST_STEPS}, since every step becomes tasks of its own. "
            "Cut the sequence into shorter ones",
        )
    _require_supported(into, node, given, steps)
    directions = 2 if given.get("direction", b"forward") == b"bidirectional" else 1
    x = times.rows(node.input[0], shape[2])
    made: list[list[str]] = []
    last: list[str] = []
    cells: list[str] = []
    for direction in range(directions):
        cell = _cell(into, node, given, direction, directions, rows)
        backwards = direction == 1 or given.get("direction", b"forward") == b"reverse"
        order = range(steps)[::-1] if backwards else range(steps)
        states, state, memory = _unrolled(into, node.op_type, cell, x, order)
        made.append([states[step] for step in range(steps)])
        last.append(state)
        cells.append(memory)
    hidden = into.shape(node, node.input[2])[-1]
    pieces = tuple(made[d][step] for step in range(steps) for d in range(directions))
    names = [*node.output, "", "", ""]
    whole = (steps, directions, rows, hidden)
    if names[0]:
        times.put(names[0], pieces, (rows, steps, directions, hidden) if first else whole)
    for name, states_of in ((names[1], last), (names[2], cells)):
        if name:
            times.put(
                name, tuple(states_of), (rows, directions, hidden) if first else (directions, rows, hidden)
            )


def _require_supported(into: Decomposer, node: NodeProto, given: dict[str, object], steps: int) -> None:
    if "clip" in given:
        raise error(node, "it has a clip. Supported: none")
    if given.get("input_forget", 0):
        raise error(node, "input_forget is 1. Supported: 0")
    lengths = node.input[4] if len(node.input) > 4 else ""
    if lengths and not (lengths in into.constants and (into.constants[lengths] == steps).all()):
        raise error(node, f"sequence_lens are given. Supported: all {steps} steps of every sequence")


def _cell(
    into: Decomposer, node: NodeProto, given: dict[str, Array], direction: int, directions: int, rows: int
) -> _Cell:
    """The parameters of one direction."""
    gates, kinds = _GATES[node.op_type], _DEFAULTS[node.op_type]
    weight, recurrence = (into.weights(node, index)[direction] for index in (1, 2))
    hidden = recurrence.shape[-1]
    bias = into.weights(node, 3, np.zeros((directions, 2 * gates * hidden)))[direction]
    own, other = bias[: gates * hidden], bias[gates * hidden :]
    linear = bool(given.get("linear_before_reset", 0)) and node.op_type == "GRU"
    apart = np.zeros(hidden)
    if linear:
        apart, other = other[2 * hidden :], np.concatenate([other[: 2 * hidden], np.zeros(hidden)])
    chosen = [name.decode() for name in given.get("activations", ())]
    functions = tuple(chosen[direction * len(kinds) : (direction + 1) * len(kinds)]) or kinds
    if unknown := [name for name in functions if name not in _ACTIVATIONS]:
        raise error(
            node, f"its activation {unknown[0]!r} is not supported. Supported: {', '.join(_ACTIVATIONS)}"
        )
    peepholes = into.weights(node, 7, np.zeros((directions, 3 * hidden))) if node.op_type == "LSTM" else None
    states = [
        _initial(into, node, index, direction, directions, (1, rows, hidden))
        for index in ((5, 6) if node.op_type == "LSTM" else (5,))
    ]
    return _Cell(
        hidden,
        rows,
        functions,
        weight,
        recurrence,
        own + other,
        apart,
        np.zeros(0) if peepholes is None else peepholes[direction],
        linear,
        states[0],
        states[1] if len(states) > 1 else None,
    )


def _initial(
    into: Decomposer, node: NodeProto, index: int, direction: int, directions: int, shape: tuple[int, ...]
) -> str | None:
    """An initial state of one direction; None if it is zero."""
    name = node.input[index] if index < len(node.input) else ""
    if not name:
        return None
    if name in into.constants:
        values = np.asarray(into.constants[name], np.float64)
        by_batch = attributes_of(node).get("layout", 0)
        values = values[:, direction] if by_batch else values[direction]
        return into.floats(values.reshape(shape), f"initial state {index}") if values.any() else None
    if directions > 1:
        raise error(node, f"its initial state {name!r} is computed. Supported for two directions: constants")
    return into.reshape(name, shape)


def _unrolled(
    into: Decomposer, op_type: str, cell: _Cell, x: str, order: range
) -> tuple[dict[int, str], str, str]:
    """The state after each step, and the last state and cell, going through the steps in that order."""
    step_of = {"LSTM": _lstm_step, "GRU": _gru_step, "RNN": _rnn_step}[op_type]
    share = _product(into, x, cell.weight, "weight", cell.bias)
    states: dict[int, str] = {}
    state, memory = cell.state, cell.cell
    for step in order:
        inputs = into.slice(share, [1], [step * cell.rows], [(step + 1) * cell.rows])
        state, memory = step_of(into, cell, inputs, state, memory)
        into.shapes[state] = (1, cell.rows, cell.hidden)
        if memory is not None:
            into.shapes[memory] = into.shapes[state]
        states[step] = state
    assert state is not None  # a sequence has a step
    return states, state, memory or ""


def _lstm_step(
    into: Decomposer, cell: _Cell, inputs: str, state: str | None, memory: str | None
) -> tuple[str, str]:
    """c = f * c + i * g; h = o * tanh(c)."""
    total = _with_state(into, inputs, state, cell.recurrence)
    gate, candidate, squash = cell.functions
    i, o, f, c = (_gate(into, cell, total, number) for number in range(4))
    if memory is not None:
        i, f = (_peeping(into, cell, x, memory, number) for x, number in ((i, 0), (f, 2)))
    new = into.node("Mul", [into.node(gate, [i]), into.node(candidate, [c])])
    if memory is not None:
        new = into.node("Add", [into.node("Mul", [into.node(gate, [f]), memory]), new])
    o = _peeping(into, cell, o, new, 1)
    return into.node("Mul", [into.node(gate, [o]), into.node(squash, [new])]), new


def _gru_step(
    into: Decomposer, cell: _Cell, inputs: str, state: str | None, memory: str | None
) -> tuple[str, None]:
    """h = g + z * (h - g), which is (1 - z) * g + z * h."""
    gate, candidate = cell.functions
    hidden = cell.hidden
    update, reset, new = (cell.recurrence[k * hidden : (k + 1) * hidden] for k in range(3))
    both = into.slice(inputs, [2], [0], [2 * hidden])
    gates = into.node(gate, [_with_state(into, both, state, np.concatenate([update, reset]))])
    z, r = (into.slice(gates, [2], [k * hidden], [(k + 1) * hidden]) for k in range(2))
    own = _gate(into, cell, inputs, 2)
    if cell.linear_before_reset:
        if state is not None:
            own = into.node(
                "Add", [own, into.node("Mul", [r, _product(into, state, new, "recurrence", cell.state_bias)])]
            )
        elif cell.state_bias.any():
            own = into.node("Add", [own, into.node("Mul", [r, into.floats(cell.state_bias, "bias")])])
    elif state is not None:
        own = _with_state(into, own, into.node("Mul", [r, state]), new)
    g = into.node(candidate, [own])
    if state is None:
        return into.node("Sub", [g, into.node("Mul", [z, g])]), None
    return into.node("Add", [g, into.node("Mul", [z, into.node("Sub", [state, g])])]), None


def _rnn_step(
    into: Decomposer, cell: _Cell, inputs: str, state: str | None, memory: str | None
) -> tuple[str, None]:
    """h = f(W x + R h + b)."""
    return into.node(cell.functions[0], [_with_state(into, inputs, state, cell.recurrence)]), None


def _product(into: Decomposer, x: str, weight: Array, what: str, bias: Array) -> str:
    """x times the transposed weight, plus a bias if there is one."""
    if x in into.constants:
        return into.floats(into.constants[x] @ weight.T + bias, what)
    product = into.node("MatMul", [x, into.floats(weight.T, what)])
    return into.node("Add", [product, into.floats(bias, "bias")]) if bias.any() else product


def _with_state(into: Decomposer, inputs: str, state: str | None, recurrence: Array) -> str:
    """The inputs' share and the state's."""
    if state is None:
        return inputs
    if state in into.constants:
        return into.node(
            "Add", [inputs, into.floats(into.constants[state] @ recurrence.T, "share of the state")]
        )
    return into.node("Add", [inputs, into.node("MatMul", [state, into.floats(recurrence.T, "recurrence")])])


def _gate(into: Decomposer, cell: _Cell, total: str, number: int) -> str:
    """The channels of one gate."""
    return into.slice(total, [2], [number * cell.hidden], [(number + 1) * cell.hidden])


def _peeping(into: Decomposer, cell: _Cell, gate: str, memory: str, number: int) -> str:
    """A gate that also sees the cell."""
    weights = cell.peepholes[number * cell.hidden : (number + 1) * cell.hidden]
    if not weights.any():
        return gate
    return into.node("Add", [gate, into.node("Mul", [memory, into.floats(weights, "peephole")])])

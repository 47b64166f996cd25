"""The shared battery of the kernels: layers of every geometry, scheduled and lowered, equal the golden in every bit.

A design holds several layers, because its compilation takes longest. On disagreement the message names the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from graphs import RELU, Layer, chain, conv, dense, quantised, small_cnn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machines import assert_equals_golden, check, pure_schedule

from intarsia.board import load_board
from intarsia.machine.units.window import Way, plan_patches
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.combine import Add, Combine, Max, Min, Mul, Sub
from intarsia.ops.max_pool import MaxPool
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide
from intarsia.task_graph import UNBOUNDED, Parameter, Task, TaskGraph, Tensor
from intarsia.work import MacWork

KINDS = ("sequential", "dataflow")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def max_pool(*geometry: tuple[int, ...]) -> Layer:
    return MaxPool(*geometry), {}, UNBOUNDED  # type: ignore[arg-type]


def mean_pool(*geometry: tuple[int, ...]) -> Layer:
    return AveragePool(*geometry), {}, UNBOUNDED  # type: ignore[arg-type]


def geometries() -> TaskGraph:
    """Paddings on any side, strides, dilations, kernels that are not square, channels that fill no word."""
    r = rng()
    return chain(
        (3, 13, 11),
        [
            conv(r, 3, 7, kernel=(3, 3), pads=(1, 1, 1, 1)),
            conv(r, 7, 5, kernel=(3, 2), stride=(1, 2), pads=(0, 2, 1, 0)),
            conv(r, 5, 9, kernel=(2, 3), dilation=(3, 1), pads=(2, 0, 0, 3), bias=False),
            conv(r, 9, 6, kernel=(1, 1)),
            conv(r, 6, 10, kernel=(1, 1), stride=(2, 1)),
            conv(r, 10, 3, kernel=(3, 1), stride=(3, 2), dilation=(1, 2), pads=(2, 0, 2, 0)),
            dense(r, 3 * 3 * 4, 11),
        ],
    )


def packed() -> TaskGraph:
    """One-channel images, whose windows are packed densely."""
    r = rng()
    return chain(
        (1, 16, 14),
        [
            conv(r, 1, 5, kernel=(5, 5), pads=(2, 2, 2, 2)),
            max_pool((2, 2), (2, 2)),
            dense(r, 5 * 8 * 7, 10),
        ],
    )


def packed_geometries() -> TaskGraph:
    """Several packed geometries on one engine: of them, one is in registers and the others take the line buffer."""
    r = rng()
    return chain(
        (1, 20, 18),
        [
            conv(r, 1, 2, kernel=(3, 3), pads=(0, 1, 2, 1)),
            conv(r, 2, 1, kernel=(5, 3), stride=(1, 1), pads=(4, 2, 0, 0)),
            conv(r, 1, 2, kernel=(3, 3), stride=(2, 1), pads=(2, 2, 2, 2)),
            conv(r, 2, 3, kernel=(3, 3), stride=(1, 2), pads=(1, 0, 1, 2)),
        ],
    )


def pools() -> TaskGraph:
    """Maxima and means on one pool unit, overlapping, padded, dilated and global; odd and large divisors."""
    r = rng()
    return chain(
        (5, 17, 15),
        [
            max_pool((3, 2), (1, 1), (1, 1), (1, 0, 1, 1)),
            mean_pool((3, 3), (2, 1), (1, 1), (1, 1, 1, 1)),
            max_pool((2, 3), (1, 2), (2, 1), (1, 1, 0, 1)),
            mean_pool((2, 2), (1, 2)),
            conv(r, 5, 6, kernel=(2, 2)),
            mean_pool((5, 3)),
            dense(r, 12, 4),
        ],
    )


def means() -> TaskGraph:
    """Means alone, and the largest one over the whole image."""
    return chain((3, 9, 7), [mean_pool((1, 2)), mean_pool((2, 1), (2, 1)), mean_pool((4, 6))])


def many_channels() -> TaskGraph:
    """More channels than any word holds, and matrix rows."""
    r = rng()
    return chain(
        (35, 5, 5),
        [
            conv(r, 35, 40, kernel=(3, 3), pads=(1, 1, 1, 1), stride=(2, 2)),
            max_pool((2, 2), (1, 1)),
            conv(r, 40, 67, kernel=(1, 1)),
            dense(r, 67 * 2 * 2, 33),
            dense(r, 33, 2),
        ],
    )


DESIGNS: list[tuple[Callable[[], TaskGraph], int, int]] = [
    (geometries, 4, 1),
    (geometries, 8, 16),
    (packed, 16, 8),
    (packed, 32, 32),
    (packed_geometries, 8, 2),
    (packed_geometries, 16, 16),
    (pools, 4, 4),
    (means, 8, 8),
    (many_channels, 16, 48),
    (many_channels, 32, 2),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("graph", "lanes", "outputs"), DESIGNS, ids=[f"{g.__name__}-{lanes}x{o}" for g, lanes, o in DESIGNS]
)
def test_design(graph: Callable[[], TaskGraph], lanes: int, outputs: int, kind: str) -> None:
    check(graph(), kind, lanes, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
@pytest.mark.parametrize("graph", [geometries, packed, packed_geometries, pools, many_channels])
def test_every_width(graph: Callable[[], TaskGraph], lanes: int, kind: str) -> None:
    for outputs in (1, 2, lanes // 2, lanes, 2 * lanes, 3 * lanes):
        check(graph(), kind, lanes, outputs)


@pytest.mark.parametrize(
    ("weight_bits", "activation_bits"), [(4, 8), (16, 8), (8, 16), (16, 16), (3, 5), (11, 13)]
)
def test_widths_of_numbers(weight_bits: int, activation_bits: int) -> None:
    kind = KINDS[weight_bits % 2]
    check(small_cnn(), kind, 8, 8, QuantiseOptions(weight_bits, activation_bits))


def test_clamps_and_absent_biases() -> None:
    r = rng()
    layers = [conv(r, 4, 4, bias=bias, kernel=(1, 1))[:2] for bias in (True, False, True, False)]
    clamps = [RELU, (-0.3, 0.25), (-np.inf, 0.1), UNBOUNDED]
    check(
        chain((4, 3, 3), [(*layer, clamp) for layer, clamp in zip(layers, clamps, strict=True)]),
        "dataflow",
        4,
        4,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_layer(kind: str) -> None:
    check(chain((5,), [dense(rng(), 5, 3)]), kind, 4, 4)
    check(chain((1, 4, 4), [max_pool((2, 2))]), kind, 4, 4)


def test_packed_geometries_are_packed() -> None:
    """The designs above hold what their names say."""
    integers = quantised(packed_geometries())
    works = [task.operator.work(task, integers) for task in integers.tasks]
    assert all(isinstance(w, MacWork) and plan_patches(w, 16).way is Way.PACKED for w in works)
    assert len({w.window.kernel for w in works if isinstance(w, MacWork) and w.window}) == 2


def test_fork_with_two_outputs() -> None:
    """A tensor with two consumers, whose branches end in outputs of their own."""
    r = rng()
    trunk = chain((2, 8, 8), [conv(r, 2, 6, kernel=(3, 3)), max_pool((2, 2), (2, 2)), dense(r, 54, 5)])
    operator, parameters, clamp = conv(r, 6, 4, kernel=(1, 1))
    roles = {role: Parameter(values) for role, values in parameters.items()}
    side = Task("side", operator, ("t0",), "s", roles, clamp)
    last = Task("last", AveragePool((6, 6)), ("s",), "m")
    graph = TaskGraph(
        "fork",
        ("x",),
        ("t2", "m"),
        {**trunk.tensors, "s": Tensor("s", (1, 4, 6, 6), 1), "m": Tensor("m", (1, 4, 1, 1), 1)},
        (*trunk.tasks, side, last),
    )
    integers = quantised(graph)
    assert_equals_golden(integers, sequential(integers, 4, 8))


def residual(kind: type[Combine]) -> TaskGraph:
    """A skip connection around a layer, and one around two, whose operands have other exponents."""
    r = rng()
    graph = chain(
        (3, 7, 6),
        [
            conv(r, 3, 5, kernel=(3, 3), pads=(1, 1, 1, 1)),
            conv(r, 5, 5, kernel=(3, 3), pads=(1, 1, 1, 1)),
            conv(r, 5, 5, kernel=(1, 1)),
            conv(r, 5, 4, kernel=(2, 2)),
        ],
    )
    first, second, third, last = graph.tasks
    skip = Tensor("s", graph.tensors["t1"].shape, 1)
    far = Tensor("f", graph.tensors["t1"].shape, 1)
    tasks = (
        first,
        second,
        Task("near", kind(), ("t0", "t1"), "s", clamp=RELU),
        replace(third, inputs=("s",)),
        Task("far", kind(), ("t2", "t0"), "f"),
        replace(last, inputs=("f",)),
    )
    return replace(graph, tensors={**graph.tensors, "s": skip, "f": far}, tasks=tasks)


@pytest.mark.parametrize("schedule", KINDS)
@pytest.mark.parametrize("kind", [Add, Sub, Mul, Max, Min])
def test_skip_connections(kind: type[Combine], schedule: str) -> None:
    check(residual(kind), schedule, 8, 4)


@pytest.mark.parametrize("board", ["kv260", "pynq-z2"])
@pytest.mark.parametrize(
    "graph",
    [geometries, packed, pools, means, many_channels, lambda: residual(Add)],
    ids=["geometries", "packed", "pools", "means", "many", "add"],
)
def test_chosen_schedule(graph: Callable[[], TaskGraph], board: str) -> None:
    """What the scheduler takes, mixed schedules included."""
    integers = quantised(graph())
    decision = decide(integers, load_board(board))
    assert_equals_golden(integers, decision.chosen.schedule)


@st.composite
def chains(draw: st.DrawFn) -> TaskGraph:
    """Random layers one after the other, each valid for what the one before it makes."""
    r = np.random.default_rng(draw(st.integers(0, 1000)))
    channels, height, width = draw(st.integers(1, 6)), draw(st.integers(4, 13)), draw(st.integers(4, 13))
    shape = (channels, height, width)
    layers: list[Layer] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "max", "mean"]))
        # A dilation beyond the image lets a window see nothing but padding, which has no maximum.
        most = (1, 1) if kind == "mean" else (min(2, height), min(2, width))
        dilation = (draw(st.integers(1, most[0])), draw(st.integers(1, most[1])))
        pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
        kernel = tuple(
            draw(st.integers(1, max(1, min(4, (size + low + high - 1) // d + 1))))
            for size, d, low, high in zip((height, width), dilation, pads[:2], pads[2:], strict=True)
        )
        stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
        if kind == "conv":
            outputs = draw(st.integers(1, 9))
            layers.append(
                conv(r, channels, outputs, kernel=kernel, stride=stride, dilation=dilation, pads=pads)
            )
            channels = outputs
        else:
            low_pads = tuple(min(pad, kernel[i % 2] - 1) for i, pad in enumerate(pads))
            kernel = tuple(
                min(k, (size + low + high - 1) // d + 1)
                for k, size, d, low, high in zip(
                    kernel, (height, width), dilation, low_pads[:2], low_pads[2:], strict=True
                )
            )
            pads = tuple(min(pad, kernel[i % 2] - 1) for i, pad in enumerate(low_pads))
            layers.append((max_pool if kind == "max" else mean_pool)(kernel, stride, dilation, pads))
        height, width = (
            (size + low + high - (k - 1) * d - 1) // s + 1
            for size, k, s, d, low, high in zip(
                (height, width), kernel, stride, dilation, pads[:2], pads[2:], strict=True
            )
        )
        if height < 1 or width < 1:
            layers.pop()
            break
    graph = chain(shape, layers) if layers else chain(shape, [max_pool((1, 1))])
    if draw(st.booleans()):
        out = graph.tensors[graph.outputs[0]]
        layers = layers or [max_pool((1, 1))]
        graph = chain(shape, [*layers, dense(r, int(np.prod(out.shape)), draw(st.integers(1, 9)))])
    return graph


datapaths = st.tuples(
    st.sampled_from(KINDS), st.sampled_from([4, 8, 16]), st.sampled_from([1, 2, 4, 8, 16, 32])
)


def random_design(graph: TaskGraph, datapath: tuple[str, int, int]) -> None:
    kind, lanes, outputs = datapath
    integers = quantised(graph)
    assert_equals_golden(integers, pure_schedule(integers, kind, lanes, outputs))


@given(chains(), datapaths)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_chains(graph: TaskGraph, datapath: tuple[str, int, int]) -> None:
    random_design(graph, datapath)


@pytest.mark.slow
@given(chains(), datapaths)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_random_chains(graph: TaskGraph, datapath: tuple[str, int, int]) -> None:
    random_design(graph, datapath)


@pytest.mark.slow
@given(chains())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_chains_as_scheduled(graph: TaskGraph) -> None:
    integers = quantised(graph)
    assert_equals_golden(integers, decide(integers, load_board("pynq-z2")).chosen.schedule)

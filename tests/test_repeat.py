"""Images whose pixels are repeated on their way through the datapath: which moves do it, golden and C++ bit for bit, cycles."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import chain, conv, quantised
from hypothesis import given
from hypothesis import strategies as st
from machines import assert_equals_golden

from intarsia import passes
from intarsia.board import load_board
from intarsia.machine.lower import lower
from intarsia.machine.units.kinds import kind_of
from intarsia.ops.move import Move, move
from intarsia.repeated import repetition
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Pattern, Schedule
from intarsia.schedule.pure import dataflow, sequential
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import UNBOUNDED, TaskGraph

SAME = {"kernel": (3, 3), "pads": (1, 1, 1, 1)}


def repeated(shape: tuple[int, int, int], down: int, across: int) -> Move:
    indices = np.arange(int(np.prod(shape))).reshape(1, *shape).repeat(down, axis=2).repeat(across, axis=3)
    found = move(indices, 1)
    assert found is not None
    return found


def decoder(channels: int = 6, down: int = 2, across: int = 2, seed: int = 0) -> TaskGraph:
    """conv, repeat, conv, repeat, conv from 4 x 5 pixels on."""
    rng = np.random.default_rng(seed)
    layers = [conv(rng, 3, channels, **SAME), (repeated((channels, 4, 5), down, across), {}, UNBOUNDED)]
    layers += [conv(rng, channels, 5, **SAME)]
    layers += [(repeated((5, 4 * down, 5 * across), 2, 2), {}, UNBOUNDED), conv(rng, 5, 2, **SAME)]
    return quantised(chain((3, 4, 5), layers))


def one_channel(width: int = 140) -> TaskGraph:
    """The same of one channel, whose rows lie in words, with a last word that is not full."""
    rng = np.random.default_rng(0)
    layers = [
        conv(rng, 1, 1, **SAME),
        (repeated((1, 5, width), 2, 2), {}, UNBOUNDED),
        conv(rng, 1, 1, **SAME),
    ]
    layers += [(repeated((1, 10, 2 * width), 2, 4), {}, UNBOUNDED), conv(rng, 1, 1, **SAME)]
    return quantised(passes.run(chain((1, 5, width), layers)))


def kinds(graph: TaskGraph) -> set[str]:
    return {kind_of(graph, task).name for task in graph.tasks if isinstance(task.operator, Move)}


def macs(graph: TaskGraph, outputs: int) -> dict[str, int]:
    return {task.name: outputs for task in graph.tasks if kind_of(graph, task).name == "engine"}


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_repetitions_are_found(channels: int, height: int, width: int, down: int, across: int) -> None:
    source = (1, channels, height, width)
    one = repeated(source[1:], down, across)
    expected = (down, across) if width * across >= 8 else None
    assert repetition(one.nest, one.shape, 1, source, 1) == expected


def test_other_moves_are_none() -> None:
    source = (1, 2, 4, 8)
    indices = np.arange(64).reshape(source)
    for other in (np.tile(indices, (1, 1, 2, 2)), indices[..., ::-1], indices.repeat(2, axis=1)):
        found = move(other, 1)
        assert found is not None
        assert repetition(found.nest, found.shape, 1, source, 1) is None


@pytest.mark.parametrize(("channels", "down", "across"), [(6, 2, 2), (9, 3, 2), (4, 1, 3), (8, 2, 4)])
def test_bit_exact_in_every_pattern(channels: int, down: int, across: int) -> None:
    """Pixels of one to three words; rows and columns repeated differently."""
    graph = decoder(channels, down, across)
    assert kinds(graph) == {"repeat"}
    assert_equals_golden(graph, dataflow(graph, 4, macs(graph, 2)))
    assert_equals_golden(graph, sequential(graph, 4, 4))
    mixture = mixed(graph, Engines((4, 4, 4), 4), 1 << 30)
    assert len(mixture.phases) < 3
    assert_equals_golden(graph, mixture)


@pytest.mark.parametrize("lanes", [4, 16])
def test_pixels_side_by_side_in_words(lanes: int) -> None:
    graph = one_channel()
    assert kinds(graph) == {"repeat"}
    assert_equals_golden(graph, dataflow(graph, lanes, {}))
    assert_equals_golden(graph, sequential(graph, lanes, 1))


def cycles(graph: TaskGraph, schedule: Schedule) -> tuple[int, int]:
    """By the timed C-simulation, and by the cost model."""
    model = evaluate(graph, schedule, load_board("u280")).cycles
    return TimedSimulation(lower(graph, schedule, "kernel")).cycles(), model


def test_a_decoder_is_one_pipeline() -> None:
    graph = decoder()
    pipeline = dataflow(graph, 8, macs(graph, 8))
    assert [phase.pattern for phase in pipeline.phases] == [Pattern.DATAFLOW]
    timed, model = cycles(graph, pipeline)
    in_turn, model_in_turn = cycles(graph, sequential(graph, 8, 8))
    assert timed < 0.8 * in_turn
    assert abs(timed - model) <= 0.02 * timed
    assert abs(in_turn - model_in_turn) <= 0.02 * in_turn

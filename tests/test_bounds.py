"""Lower bounds: words that a task cannot fill count as whole words."""

from __future__ import annotations

import numpy as np
from graphs import chain, conv, quantised

from intarsia.board import load_board
from intarsia.schedule.bounds import lower_bound_cycles
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.pure import sequential


def test_a_word_that_is_half_full_takes_a_cycle() -> None:
    """4 channels of 8 x 8 pixels through a 1x1 convolution of 16 channels: words of 8 are half full."""
    rng = np.random.default_rng(0)
    graph = quantised(chain((4, 8, 8), [conv(rng, 4, 16, kernel=(1, 1))]))
    board = load_board("kv260")
    bounds = {
        lanes: lower_bound_cycles(graph, sequential(graph, lanes, 4), board, board.clock_mhz)
        for lanes in (4, 8)
    }
    assert bounds == {4: 64 * 16 // 4, 8: 64 * 16 // 4}
    for lanes in (4, 8):
        assert bounds[lanes] <= evaluate(graph, sequential(graph, lanes, 4), board).cycles

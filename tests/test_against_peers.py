"""How tests/benchmarks/against_peers.py sums up what the tools took; the peers themselves are not run here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import against_peers

RUN = {"convert_s": 1.0, "build_s": 2.0, "build_cpu_s": 2.0, "ms_per_image": 4.0, "cpu_ms_per_image": 4.0}
EXPECTED = np.array([[1.0, 2.0]])


def ran(error: float = 0.0, **figures: float) -> against_peers.Result:
    """A run whose outputs are off by so much."""
    return {**RUN, "peak_mb": 9, **figures, "outputs": EXPECTED + error, "by_hand": ["shapes inferred"]}


def test_medians_of_the_runs_and_the_largest_error_of_all() -> None:
    """One slow run does not count, one wrong run does."""
    runs = [ran(build_s=2), ran(build_s=90, error=-0.5), ran(build_s=3)]
    found = against_peers.summary(runs, EXPECTED)
    assert found["build_s"] == 3
    assert found["max_error"] == 0.5
    assert found["by_hand"] == ["shapes inferred"]


def test_each_figure_is_the_best_modes() -> None:
    """A peer is not held to one mode for both; its worse error counts."""
    modes = {
        "quick to build": against_peers.summary([ran(build_s=1, error=0.5)], EXPECTED),
        "quick to run": against_peers.summary([ran(ms_per_image=1)], EXPECTED),
    }
    found = against_peers.best(modes)
    assert (found["build_s"], found["ms_per_image"], found["max_error"]) == (1, 1, 0.5)
    assert found["modes"] == modes


def test_a_mode_that_failed_gives_no_figure() -> None:
    """Its text stays; the tool counts as failed only if no mode ran."""
    failed = against_peers.summary([{"build_s": 0.1, "error": "signal 4: "}], EXPECTED)
    well = against_peers.summary([ran()], EXPECTED)
    assert against_peers.best({"a": failed, "b": well})["build_s"] == RUN["build_s"]
    alone = against_peers.best({"a": failed})
    assert (alone["error"], alone["max_error"], alone["build_s"]) == ("signal 4: ", None, 0.1)


@pytest.mark.parametrize("tool", ["hls4ml", "nngen"])
def test_table_tells_ratios_failures_and_what_was_done_by_hand(tool: str) -> None:
    """One line per tool and mode, then what was done, then failures."""
    own = against_peers.best({"auto": against_peers.summary([ran(build_s=0.5)], EXPECTED)})
    modes = {
        "works": against_peers.summary([ran()], EXPECTED),
        "breaks": against_peers.summary([{"error": "signal 4: "}], EXPECTED),
    }
    peer = against_peers.best(modes)
    lines = against_peers.table("lenet5", {"intarsia": own, tool: peer})
    assert lines[0].startswith("| lenet5 | intarsia auto | 1.00 | 0.50 |")
    assert lines[1].startswith(f"| lenet5 | {tool} works | 1.00 (1.0x) | 2.00 (4.0x) |")
    assert lines[2].startswith(f"| lenet5 | {tool} breaks | - | - |")
    assert f"  done for {tool}: shapes inferred" in lines
    assert lines[-1] == f"  {tool} breaks: signal 4: "

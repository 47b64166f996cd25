"""The cost model against vendor reports (a sample in tests/vendor_reports), and where memories go."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import chain, dense, quantised
from machines import assert_equals_golden

from intarsia.board import Resources, load_board
from intarsia.emit import emit_sources
from intarsia.machine.lower import lower
from intarsia.machine.resources import NOTHING, bram18, memory, uram
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.plan import BANKS, ScheduleError
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide
from intarsia.schedule.storage import LargeMemory, move_to_uram
from intarsia.task_graph import TaskGraph

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from cost_rules import SAMPLE, check_cycles, check_memories, loop_cycles


class TestRules:
    def test_loops(self) -> None:
        with (SAMPLE / "loops.csv").open() as file:
            rows = [
                {k: int(row[k]) for k in ("trip_count", "ii", "depth", "latency")}
                for row in csv.DictReader(file)
            ]
        errors = [r["latency"] - loop_cycles(r["trip_count"], r["ii"], r["depth"]) for r in rows]
        assert len(rows) == 92  # every loop of all 827 that breaks the rule, and a twelfth of the others
        assert {error: errors.count(error) for error in set(errors)} == {0: 71, 1: 21}

    def test_functions(self) -> None:
        figures = check_cycles(SAMPLE)
        assert figures["functions"] == 92
        assert figures["function_errors"] == {
            0: 89,
            1521: 1,
            192014: 1,
            443165: 1,
        }  # these call other functions

    def test_memories(self) -> None:
        rows = check_memories(SAMPLE)
        assert len(rows) >= 8
        assert any(row["is_uram"] for row in rows)
        for row in rows:
            assert 0 <= row["estimated"] - row["reported"] <= row["copies"], row


class TestMemories:
    @pytest.mark.parametrize(
        ("width", "depth", "blocks"),
        [
            (36, 512, 1),
            (36, 513, 2),
            (18, 1024, 1),
            (8, 2048, 1),
            (72, 512, 2),
            (4, 4096, 1),
            (1, 16384, 1),
            (64, 128, 0),
        ],
    )
    def test_bram18(self, width: int, depth: int, blocks: int) -> None:
        assert bram18(width, depth) == blocks

    @pytest.mark.parametrize(
        ("width", "depth", "blocks"), [(72, 4096, 1), (73, 4096, 2), (8, 4097, 2), (512, 100, 8)]
    )
    def test_uram(self, width: int, depth: int, blocks: int) -> None:
        assert uram(width, depth) == blocks

    def test_small_memories_are_luts(self) -> None:
        assert memory(8, 64) == Resources(dsp=0, bram18=0, uram=0, lut=8, ff=8)


PARTS = {
    "a": replace(NOTHING, bram18=100),
    "b": replace(NOTHING, bram18=40),
    "c": replace(NOTHING, bram18=30),
}


class TestMovingToUram:
    LARGE = (LargeMemory("a", "a", 90, 30), LargeMemory("b", "b", 40, 4), LargeMemory("c", "c", 30, 6))

    def move(self, bram18: int, uram: int) -> tuple[tuple[str, ...], int, int]:
        names, parts = move_to_uram(PARTS, self.LARGE, bram18, uram)
        return names, sum(p.bram18 for p in parts.values()), sum(p.uram for p in parts.values())

    def test_none_while_block_ram_suffices(self) -> None:
        assert self.move(170, 60) == ((), 170, 0)

    def test_the_one_that_frees_most_first(self) -> None:
        assert self.move(169, 60) == (("b",), 130, 4)
        assert self.move(100, 60) == (("b", "c"), 100, 10)

    def test_as_far_as_there_is_any(self) -> None:
        assert self.move(10, 39) == (("b", "c"), 100, 10)
        assert self.move(10, 40) == (("a", "b", "c"), 10, 40)
        assert self.move(10, 0) == ((), 170, 0)


@pytest.fixture(scope="module")
def heavy() -> TaskGraph:
    """More weights than the KV260's block RAM holds, fewer than it holds with its UltraRAM."""
    rng = np.random.default_rng(0)
    return quantised(chain((64, 1, 1), [dense(rng, 64, 2048), dense(rng, 2048, 400)]))


class TestUramInDesigns:
    def test_makes_weights_fit_that_do_not_otherwise(self, heavy: TaskGraph) -> None:
        board = load_board("kv260")
        schedule = sequential(heavy, 8, 32)
        without = replace(board, resources=replace(board.resources, uram=0))
        assert not evaluate(heavy, schedule, without).fits
        found = evaluate(heavy, schedule, board)
        assert found.fits
        assert found.schedule.uram == ("engine",)
        assert 0 < found.resources.uram <= 64

    def test_emitted_code_binds_what_the_estimate_counts(self, heavy: TaskGraph) -> None:
        schedule = replace(sequential(heavy, 8, 32), uram=(BANKS, "engine"))
        top = emit_sources(lower(heavy, schedule, "heavy"), "a test")["top.cpp"]
        lines = top.splitlines()
        bound = {line.split("variable = ")[1].split()[0] for line in lines if "impl = uram" in line}
        assert bound == {"engine_weights", "bank0", "bank1"}
        for line in (line for line in lines if "BIND_STORAGE" in line):
            assert "type = ram_2p impl = uram" in line
        plain = emit_sources(lower(heavy, replace(schedule, uram=()), "heavy"), "a test")["top.cpp"]
        assert [line for line in lines if "BIND_STORAGE" not in line] == plain.splitlines()

    def test_streamed_memories_are_bound_both(self, heavy: TaskGraph) -> None:
        schedule = replace(sequential(heavy, 8, 16, 1024), uram=("engine",))
        top = emit_sources(lower(heavy, schedule, "heavy"), "a test")["top.cpp"]
        assert all(f"BIND_STORAGE variable = engine_weights{copy} " in top for copy in (0, 1))

    def test_golden(self) -> None:
        rng = np.random.default_rng(0)
        small = quantised(chain((8, 1, 1), [dense(rng, 8, 24), dense(rng, 24, 5)]))
        assert_equals_golden(small, replace(sequential(small, 8, 8), uram=(BANKS, "engine")))


def test_a_model_that_does_not_fit_names_resource_need_budget_and_remedy() -> None:
    rng = np.random.default_rng(0)
    graph = quantised(chain((64, 1, 1), [dense(rng, 64, 4096), dense(rng, 4096, 64)]))
    board = load_board("pynq-z2")
    tiny = replace(board, resources=replace(board.resources, bram18=4))
    with pytest.raises(ScheduleError) as error:
        decide(graph, tiny, "dataflow")
    message = str(error.value)
    assert "BRAM18: needs " in message
    assert "has 4 (90% usable)" in message
    assert "kv260" in message.split("To make it fit, use ")[1].split(", which would hold it")[0]
    assert "--weight-bits" in message

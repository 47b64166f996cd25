"""The search over sets of engines: samples first, then up from the best of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any

from intarsia.schedule.engine_sets import Climb, EngineSets, Outputs

SIZES = (1, 2, 4, 8, 16, 32)
SETS = EngineSets(SIZES, frozenset(s for n in (2, 3) for s in product(SIZES, repeat=n) if 16 <= sum(s) <= 48))


def costed(peak: dict[int, Outputs], tries: Counter[Any]) -> Any:
    """A cost that grows with the distance from one set of each width; narrower words cost more."""

    def cost(lanes: int, outputs: Outputs) -> Iterator[Any]:
        tries[lanes, outputs] += 1
        want = peak[lanes]
        away = sum(abs(a - b) for a, b in zip(want, (*outputs, 0)[: len(want)], strict=True))
        yield SimpleNamespace(rank=(100 * (len(outputs) != len(want)) + away + 1000 // lanes,), fits=True)

    return cost


def test_neighbours_are_other_sets_of_the_space() -> None:
    for outputs in SETS.sets:
        around = SETS.neighbours(outputs)
        assert len(around) == len(set(around)) and outputs not in around
        assert SETS.sets.issuperset(around)
        assert all(abs(len(one) - len(outputs)) <= 1 for one in around)
    assert (4, 16) in SETS.neighbours((8, 16)) and (16, 8) in SETS.neighbours((8, 16))
    assert (8, 16, 1) in SETS.neighbours((8, 16)) and (8, 16) in SETS.neighbours((8, 16, 1))


def test_samples_reach_over_the_whole_space() -> None:
    sums = [sum(outputs) for outputs in SETS.sampled(5)]
    assert sums == sorted(sums, reverse=True) and sums[0] == 48 and sums[-1] < 24
    assert set(SETS.sampled(10_000)) == SETS.sets


def test_the_climb_finds_the_best_set_and_tries_each_once() -> None:
    tries: Counter[Any] = Counter()
    peak = {8: (2, 4, 32), 16: (32, 8)}
    climb = Climb({8: SETS, 16: SETS}, costed(peak, tries), effort=10_000)
    found = min(evaluation.rank for evaluation in climb.run(4))
    assert found == (1000 // 16,)
    assert tries[16, (32, 8)] == 1 and max(tries.values()) == 1
    assert len(tries) < len(SETS.sets)


def test_effort_is_a_limit() -> None:
    tries: Counter[Any] = Counter()
    list(Climb({8: SETS}, costed({8: (2, 4, 32)}, tries), effort=9).run(4))
    assert len(tries) == 9

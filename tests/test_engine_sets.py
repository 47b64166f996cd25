"""The search over sets of engines: bands from above, a sample of each, then up from the fastest of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from intarsia.schedule.engine_sets import Climb, EngineSets, Outputs

SIZES = (1, 2, 4, 8, 16, 32)
ALL = frozenset(s for n in (2, 3) for s in product(SIZES, repeat=n))
PEAK = {8: (2, 4, 32), 16: (32, 8)}


def sets(lanes: int) -> EngineSets:
    return EngineSets(lanes, SIZES, ALL)


def climb(most: int, tries: Counter[Any] | None = None, effort: int = 10_000) -> Climb:
    """A search whose cycles grow with the distance from one set of each width, on a board of so many multipliers."""

    def cost(lanes: int, outputs: Outputs) -> Iterator[Any]:
        if tries is not None:
            tries[lanes, outputs] += 1
        want = PEAK[lanes]
        away = sum(abs(a - b) for a, b in zip(want, (*outputs, 0)[: len(want)], strict=True))
        cycles = 100 * (len(outputs) != len(want)) + away + 1000 // lanes
        fits = sum(outputs) * lanes <= most
        yield SimpleNamespace(rank=(cycles,), interval=cycles, fits=fits, made=(lanes, outputs))

    return Climb(
        [sets(8), sets(16)],
        cost,
        may_fit=lambda lanes, outputs: sum(outputs) * lanes <= most,
        floor=lambda lanes, rows: 1000 // lanes,
        samples=4,
        effort=effort,
    )


def fastest(most: int) -> int:
    return min(one.interval for one in climb(most).run() if one.fits)


def test_neighbours_are_other_sets_of_the_space() -> None:
    for outputs in ALL:
        around = sets(8).neighbours(outputs)
        assert len(around) == len(set(around)) and outputs not in around
        assert ALL.issuperset(around)
        assert all(abs(len(one) - len(outputs)) <= 1 for one in around)
    assert (4, 16) in sets(8).neighbours((8, 16)) and (16, 8) in sets(8).neighbours((8, 16))
    assert (8, 16, 1) in sets(8).neighbours((8, 16)) and (8, 16) in sets(8).neighbours((8, 16, 1))


def test_bands_hold_every_set_once() -> None:
    bands = sets(8).bands
    assert sorted(one for band in bands.values() for one in band) == sorted(ALL)
    for band, members in bands.items():
        low, high = 2 ** ((band - 1) / 3), 2 ** (band / 3)
        assert all(low < sum(one) * 8 * (1 + 1e-6) <= high * (1 + 2e-6) for one in members)
    assert [sets(8).band_of(one) for one in ((8, 8), (8, 9), (16, 16))] == [21, 22, 24]


def test_samples_reach_over_a_whole_band() -> None:
    band = sets(8).band_of((8, 32))
    sums = [sum(outputs) for outputs in sets(8).sampled(band, 5)]
    assert sums == sorted(sums, reverse=True) and sums[0] == 40 and sums[-1] < 36
    assert set(sets(8).sampled(band, 10_000)) == set(sets(8).bands[band])


def test_the_climb_finds_the_best_set_and_tries_each_once() -> None:
    tries: Counter[Any] = Counter()
    found = min(list(climb(1 << 12, tries).run()), key=lambda one: one.rank)
    assert found.made == (16, (32, 8))
    assert max(tries.values()) == 1 and len(tries) < len(ALL)


def test_effort_is_a_limit() -> None:
    tries: Counter[Any] = Counter()
    list(climb(1 << 12, tries, effort=4).run())
    bands = {(lanes, band) for lanes in (8, 16) for band in sets(lanes).bands}
    assert len(tries) <= 4 * len(bands) + 2


@pytest.mark.parametrize("most", range(16, 1200, 16))
def test_more_multipliers_are_never_slower(most: int) -> None:
    assert fastest(most + 16) <= fastest(most)

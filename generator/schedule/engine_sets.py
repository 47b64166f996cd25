"""Which sets of engines a search tries: in bands of so many multipliers, a sample of each, and what can be climbed to from it.

What is tried in a band depends on the model alone. A board only decides which bands are searched, more of them the larger it
is, and what of all that was tried fits it. So a larger board never gets a slower schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, log2

from .evaluate import Evaluation, best

Outputs = tuple[int, ...]
"""Output channels per pass of each engine, in datapath order."""

_STARTS = 2
"""Sets of each band from which the search climbs."""


@dataclass(frozen=True)
class EngineSets:
    """All sets for words of one width.

    Attributes:
        lanes: elements of a word.
        sizes: of an engine, ascending.
        sets: all of them.
        per_octave: bands between so many multipliers and twice as many.
    """

    lanes: int
    sizes: tuple[int, ...]
    sets: frozenset[Outputs]
    per_octave: int = 3

    @cached_property
    def bands(self) -> dict[int, list[Outputs]]:
        """Sets by the number of their band, those of most multipliers first."""
        found: dict[int, list[Outputs]] = {}
        for outputs in sorted(self.sets, key=lambda outputs: (-sum(outputs), outputs)):
            found.setdefault(self.band_of(outputs), []).append(outputs)
        return found

    def band_of(self, outputs: Outputs) -> int:
        """The number of a set's band."""
        return ceil(log2(sum(outputs) * self.lanes) * self.per_octave - 1e-9)

    def sampled(self, band: int, most: int) -> list[Outputs]:
        """So many sets of a band at most, as far apart in their order as the number allows."""
        ranked = self.bands.get(band, [])
        if len(ranked) <= most:
            return ranked
        return [ranked[number * len(ranked) // most] for number in range(most)]

    def neighbours(self, outputs: Outputs) -> list[Outputs]:
        """Sets that differ by a step of one engine, by opposite steps of two, by their order, or by one engine."""
        steps = {size: place for place, size in enumerate(self.sizes)}
        places = [steps[size] for size in outputs]
        count = len(outputs)
        found: dict[Outputs, None] = {}

        def add(around: Iterable[int]) -> None:
            around = tuple(around)
            if all(0 <= place < len(self.sizes) for place in around):
                found[tuple(self.sizes[place] for place in around)] = None

        for i in range(count):
            add((*places[:i], *places[i + 1 :]))
            for step in (1, -1):
                add((*places[:i], places[i] + step, *places[i + 1 :]))
                for j in range(count):
                    if j != i:
                        moved = list(places)
                        moved[i] += step
                        moved[j] -= step
                        add(moved)
            for j in range(i + 1, count):
                swapped = list(places)
                swapped[i], swapped[j] = places[j], places[i]
                add(swapped)
        for i in range(count + 1):
            for place in range(len(self.sizes)):
                add((*places[:i], place, *places[i:]))
        return [one for one in found if one in self.sets and one != outputs]


@dataclass
class Climb:
    """Tries sets of engines, each once; local to one search.

    Attributes:
        sets: of every width of words.
        cost: the schedules of a set of engines, for words of so many lanes.
        may_fit: False for sets that no schedule on the board can have.
        floor: cycles that no schedule on words of so many lanes can beat with so many output channels per pass.
        samples: sets of a band and width that are tried first.
        effort: sets of a band and width that are tried at most.
    """

    sets: Sequence[EngineSets]
    cost: Callable[[int, Outputs], Iterable[Evaluation]]
    may_fit: Callable[[int, Outputs], bool]
    floor: Callable[[int, int], int]
    samples: int
    effort: int
    _found: dict[tuple[int, Outputs], list[Evaluation]] = field(default_factory=dict)

    def run(self) -> Iterator[Evaluation]:
        """Every schedule that was costed, band by band downwards, but for bands that cannot have the best one.

        If not even one of the lowest bands fits, the others are not tried.
        """
        smallest = [
            one for sets in self.sets for one in self._try(sets.lanes, sets.sampled(min(sets.bands), 1)[0])
        ]
        yield from smallest
        if best(smallest) is None:
            return
        fastest: int | None = None
        for band in sorted({band for sets in self.sets for band in sets.bands}, reverse=True):
            for sets in self.sets:
                rows = max((sum(outputs) for outputs in sets.bands.get(band, [])), default=0)
                if not rows or (fastest is not None and self.floor(sets.lanes, rows) > fastest):
                    continue
                tried = list(self._in_band(sets, band))
                yield from tried
                if (found := best(tried)) is not None:
                    fastest = min(found.interval, fastest or found.interval)

    def _in_band(self, sets: EngineSets, band: int) -> Iterator[Evaluation]:
        """The sample, and if anything of it fits the board, what can be climbed to from its fastest."""
        sample = sets.sampled(band, self.samples)
        if not any(self.may_fit(sets.lanes, outputs) for outputs in sample):
            return
        tried = dict.fromkeys(sample)  # by this band, whether or not by others before it
        for outputs in sample:
            yield from self._try(sets.lanes, outputs)
        if best([one for outputs in sample for one in self._found[sets.lanes, outputs]]) is None:
            return
        for start in self._fastest(sets.lanes, sample)[:_STARTS]:
            outputs = start
            while True:
                around = [one for one in sets.neighbours(outputs) if sets.band_of(one) <= band]
                for one in around:
                    if one not in tried and len(tried) < self.effort:
                        tried[one] = None
                        yield from self._try(sets.lanes, one)
                highest = self._fastest(sets.lanes, [outputs, *(one for one in around if one in tried)])[0]
                if highest == outputs:
                    break
                outputs = highest

    def _try(self, lanes: int, outputs: Outputs) -> Iterator[Evaluation]:
        if (lanes, outputs) not in self._found:
            self._found[lanes, outputs] = list(self.cost(lanes, outputs))
            yield from self._found[lanes, outputs]

    def _fastest(self, lanes: int, among: Iterable[Outputs]) -> list[Outputs]:
        """Those of fewest cycles first, whether or not they fit the board."""

        def rank(outputs: Outputs) -> tuple[int, Outputs]:
            return min((one.interval for one in self._found[lanes, outputs]), default=1 << 60), outputs

        return sorted(among, key=rank)

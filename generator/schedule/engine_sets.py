"""Which sets of engines a search tries: a sample over all of them, then the neighbours of the best, as long as they are better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .evaluate import Evaluation, best

Outputs = tuple[int, ...]
"""Output channels per pass of each engine, in datapath order."""

_STARTS = 2
"""Sets of each width from which the search climbs."""


@dataclass(frozen=True)
class EngineSets:
    """All sets for words of one width.

    Attributes:
        sizes: of an engine, ascending.
        sets: those whose engines have neither too few nor too many multipliers.
    """

    sizes: tuple[int, ...]
    sets: frozenset[Outputs]

    def sampled(self, most: int) -> list[Outputs]:
        """So many sets at most: those with the most multipliers, as far apart in their order as the number allows."""
        ranked = sorted(self.sets, key=lambda outputs: (-sum(outputs), outputs))
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
    """Tries sets of engines for several widths of words, each once; local to one search.

    Attributes:
        sets: by lanes.
        cost: the schedules of a set of engines, for words of so many lanes.
        effort: sets that are tried at most.
    """

    sets: Mapping[int, EngineSets]
    cost: Callable[[int, Outputs], Iterable[Evaluation]]
    effort: int
    _found: dict[tuple[int, Outputs], Evaluation | None] = field(default_factory=dict)

    def run(self, samples: int) -> Iterator[Evaluation]:
        """Every schedule that was costed: of so many sets for each width, then of neighbours."""
        for lanes, sets in self.sets.items():
            for outputs in sets.sampled(samples):
                yield from self._try(lanes, outputs)
        starts = [
            self._ranked([(lanes, one) for one in sets.sets])[:_STARTS] for lanes, sets in self.sets.items()
        ]
        for start in self._ranked([point for of_width in starts for point in of_width]):
            yield from self._up(*start)

    def _up(self, lanes: int, outputs: Outputs) -> Iterator[Evaluation]:
        """Goes to the best neighbour until none is better."""
        while True:
            around = [(lanes, outputs), *((lanes, one) for one in self.sets[lanes].neighbours(outputs))]
            for _, one in around:
                if (lanes, one) not in self._found and len(self._found) < self.effort:
                    yield from self._try(lanes, one)
            highest = self._ranked(around)[0]
            if highest == (lanes, outputs):
                return
            outputs = highest[1]

    def _try(self, lanes: int, outputs: Outputs) -> Iterator[Evaluation]:
        tried = list(self.cost(lanes, outputs))
        self._found[lanes, outputs] = best(tried)
        yield from tried

    def _ranked(self, among: Sequence[tuple[int, Outputs]]) -> list[tuple[int, Outputs]]:
        """Those of them that were tried and whose schedules fit, best first."""
        fitting = {
            point: evaluation.rank for point in among if (evaluation := self._found.get(point)) is not None
        }
        return sorted(fitting, key=lambda point: (fitting[point], point))

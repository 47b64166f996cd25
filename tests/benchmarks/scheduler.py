"""Times the exact scheduler, and shows how good its lower bound and its beam are.

    python tests/benchmarks/scheduler.py [--json] [--repeats N]

Chains are pure, and with skip connections over two tasks; blocks are branches of different lengths that fork and join;
layered graphs are random. Every run of consecutive, or connected and convex, tasks up to the given size is a candidate.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator

from intarsia.schedule.exact import dynamic_programme
from intarsia.schedule.exact.bounds import lower_bound_cycles
from intarsia.schedule.exact.errors import TooManyStatesError
from intarsia.schedule.exact.problem import Candidate, Problem, Tensor

Edges = set[tuple[int, int]]

BEAM = 200


def chain(count: int) -> Edges:
    """One task after the other."""
    return {(index, index + 1) for index in range(count - 1)}


def residual(count: int) -> Edges:
    """A chain in which every third task also reads what was made three tasks before."""
    return chain(count) | {(index, index + 3) for index in range(0, count - 3, 3)}


def blocks(count: int) -> Edges:
    """Fork into branches of 1, 2 and 3 tasks, join, and so on: eight tasks per block."""
    pattern = {(0, 1), (0, 2), (2, 3), (0, 4), (4, 5), (5, 6), (1, 7), (3, 7), (6, 7), (7, 8)}
    edges = {(start + u, start + v) for start in range(0, count, 8) for u, v in pattern}
    return {(u, v) for u, v in edges if v < count}


def layered(count: int, width: int) -> Edges:
    """Layers of up to `width` tasks, each of which reads one or two of the layer before."""
    rng = random.Random(count * width)
    edges: Edges = set()
    before: list[int] = []
    index = 0
    while index < count:
        layer = list(range(index, min(count, index + rng.randint(1, width))))
        for task in layer:
            edges.update((source, task) for source in rng.sample(before, min(len(before), rng.randint(1, 2))))
        before, index = layer, index + len(layer)
    return edges


def connected_convex_sets(count: int, edges: Edges, most: int) -> Iterator[frozenset[int]]:
    """All connected convex sets of up to `most` tasks."""
    near: dict[int, set[int]] = {index: set() for index in range(count)}
    after: dict[int, set[int]] = {index: set() for index in range(count)}
    before: dict[int, set[int]] = {index: set() for index in range(count)}
    for u, v in sorted(edges):
        near[u].add(v)
        near[v].add(u)
        before[v] |= before[u] | {u}
    for u, v in sorted(edges, reverse=True):
        after[u] |= after[v] | {v}
    level = {frozenset({index}) for index in range(count)}
    for _ in range(most):
        for chosen in level:
            ancestors = set().union(*(before[index] for index in chosen))
            if ancestors.isdisjoint(set().union(*(after[index] for index in chosen)) - chosen):
                yield chosen
        level = {chosen | {other} for chosen in level for index in chosen for other in near[index] - chosen}


def problem(count: int, edges: Edges, most: int, memory: float) -> Problem:
    """Random costs on a graph; `memory` is the capacity in mean tensors."""
    rng = random.Random(0)
    names = tuple(f"t{index:04}" for index in range(count))
    tensors = []
    for index, name in enumerate(names):
        targets = tuple(names[v] for u, v in sorted(edges) if u == index)
        words = rng.randint(100, 1000)
        tensors.append(Tensor(f"x{index:04}", name, targets, words, not targets, words // 4, words // 4))
    work = [rng.randint(500, 5000) for _ in names]
    candidates = []
    for chosen in sorted(connected_convex_sets(count, edges, most), key=sorted):
        loads = [work[index] for index in chosen]
        cycles = rng.randint(max(max(loads), int(0.7 * sum(loads))), sum(loads)) + 100
        tasks = frozenset(names[index] for index in chosen)
        candidates.append(Candidate(tasks, cycles, working_words=50 * len(chosen)))
    return Problem(names, tuple(tensors), tuple(candidates), int(memory * 550))


CASES = {
    "chain of 200, up to 3": lambda: problem(200, chain(200), 3, 3),
    "chain of 200, up to 4": lambda: problem(200, chain(200), 4, 3),
    "chain of 200, up to 4, roomy": lambda: problem(200, chain(200), 4, 1000),
    "chain of 1000, up to 4": lambda: problem(1000, chain(1000), 4, 3),
    "residual chain of 200, up to 4": lambda: problem(200, residual(200), 4, 4),
    "blocks, 15 tasks, up to 4": lambda: problem(15, blocks(15), 4, 4),
    "blocks, 64 tasks, up to 4": lambda: problem(64, blocks(64), 4, 4),
    "blocks, 200 tasks, up to 4": lambda: problem(200, blocks(200), 4, 4),
    "layered, 15 tasks, width 3, up to 4": lambda: problem(15, layered(15, 3), 4, 4),
    "layered, 40 tasks, width 4, up to 3": lambda: problem(40, layered(40, 4), 3, 5),
    "layered, 30 tasks, width 8, up to 3": lambda: problem(30, layered(30, 8), 3, 8),
}


def measure(name: str, repeats: int) -> dict[str, object]:
    """Best time of some runs, and what came out."""
    given = CASES[name]()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        try:
            solution = dynamic_programme.solve(given)
        except TooManyStatesError:
            solution = dynamic_programme.solve(given, beam=BEAM)
        seconds.append(time.perf_counter() - start)
    bound = lower_bound_cycles(given)
    return {
        "case": name,
        "candidates": len(given.candidates),
        "seconds": round(min(seconds), 4),
        "cycles": solution.objective.cycles,
        "optimal": solution.optimal,
        "bound": bound,
        "gap_percent": round(100 * (solution.objective.cycles / bound - 1), 2),
        "spilled": list(solution.placements.values()).count("spilled"),
    }


def main() -> int:
    """Runs all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each case; the best time counts")
    options = parser.parse_args()
    rows = [measure(name, options.repeats) for name in CASES]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        proof = "optimal" if row["optimal"] else f"beam of {BEAM}"
        print(
            f"{row['case']:38} {row['candidates']:5} candidates  {row['seconds']:8.3f} s  {row['cycles']:8} cycles, "
            f"{proof}, bound {row['gap_percent']} % lower, {row['spilled']} spilled"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

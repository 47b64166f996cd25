"""The exact schedulers against each other: three programs, written apart, must find the same costs."""

import random
import sys
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.errors import IntarsiaError
from intarsia.schedule.exact import brute_force, cp_sat, dynamic_programme
from intarsia.schedule.exact.bounds import lower_bound_cycles, prices
from intarsia.schedule.exact.errors import NoScheduleError, OverCapacityError, TooManyStatesError
from intarsia.schedule.exact.evaluate import crossing, evaluate
from intarsia.schedule.exact.problem import Candidate, Problem, Tensor
from intarsia.schedule.exact.spill import spill_cycles, spill_words


def convex_sets(size, edges, most):
    """Index tuples of all convex task sets up to a size; by walking paths, unlike the code under test."""
    followers = {index: [v for u, v in edges if u == index] for index in range(size)}

    def leaves_and_returns(chosen):
        outside = [v for u in chosen for v in followers[u] if v not in chosen]
        while outside:
            if (node := outside.pop()) in chosen:
                return True
            outside += followers[node]
        return False

    for count in range(1, most + 1):
        for chosen in combinations(range(size), count):
            if not leaves_and_returns(chosen):
                yield chosen


def random_problem(seed, size, most=3, keep=None, single=1.0):
    """A random DAG with random candidates; each single task is one with probability `single`."""
    rng = random.Random(seed)
    keep = rng.choice([0.3, 0.6]) if keep is None else keep
    density = rng.choice([0.15, 0.3, 0.5])
    edges = [(u, v) for v in range(size) for u in range(v) if rng.random() < density]
    names = [f"task{index:02}" for index in range(size)]
    rng.shuffle(names)

    def tensor(name, source, targets, is_output=False):
        return Tensor(
            name, names[source], targets, rng.randint(1, 9), is_output, rng.randint(0, 6), rng.randint(0, 6)
        )

    tensors = [Tensor("input", None, (names[0],), 5)]
    for source in range(size):
        targets = tuple(names[v] for u, v in edges if u == source)
        tensors.append(tensor(f"x{source:02}", source, targets, not targets or rng.random() < 0.1))
        if len(targets) > 1 and rng.random() < 0.2:
            tensors.append(tensor(f"y{source:02}", source, targets[1:]))
    work = [rng.randint(2, 12) for _ in range(size)]
    candidates = []
    for chosen in convex_sets(size, edges, most):
        if rng.random() < (single if len(chosen) == 1 else keep):
            loads = [work[index] for index in chosen]
            for label in "ab"[: rng.choice([1, 1, 2])]:
                cycles = rng.randint(max(loads), sum(loads) + 1)
                tasks = frozenset(names[index] for index in chosen)
                candidates.append(Candidate(tasks, cycles, label, rng.randint(0, 6)))
    covered = {task for candidate in candidates for task in candidate.tasks}
    candidates += [Candidate(frozenset({task}), 20) for task in names if task not in covered]
    capacity = rng.choice([4, 8, 12, 18, 30, 60])
    return Problem(tuple(names), tuple(tensors), tuple(candidates), capacity)


def small_problem(seed):
    sizes = [1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 7]
    single = 0.7 if seed % 5 == 0 else 1.0
    problem = random_problem(seed, sizes[seed % len(sizes)], most=4 if seed % 7 == 0 else 3, single=single)
    return with_loads(problem, seed) if seed % 2 else problem


def with_loads(problem, seed):
    """Phases that load something before they begin, and hide some of the load that comes after them."""
    rng = random.Random(seed)
    candidates = [
        replace(
            candidate,
            load_cycles=rng.choice([0, rng.randint(0, 25)]),
            hiding_cycles=rng.randint(candidate.cycles // 2, candidate.cycles),
        )
        for candidate in problem.candidates
    ]
    return replace(problem, candidates=tuple(candidates))


def attempt(solve, problem, **options):
    """The solution, checked against the definitions; None if there is none."""
    try:
        solution = solve(problem, **options)
    except NoScheduleError:
        return None
    assert solution.objective == evaluate(problem, solution.phases, solution.placements)
    assert solution.lower_bound_cycles <= solution.objective.cycles
    assert not solution.optimal or solution.lower_bound_cycles == solution.objective.cycles
    return solution


def chain(count, *, words=4, capacity=100, spill=1):
    """Single tasks of 10 cycles, and pairs of 15."""
    names = tuple(f"task{index:03}" for index in range(count))
    tensors = tuple(
        Tensor(
            f"x{index:03}",
            names[index],
            names[index + 1 : index + 2],
            words,
            index + 1 == count,
            spill,
            spill,
        )
        for index in range(count)
    )
    singles = [Candidate(frozenset({name}), 10) for name in names]
    pairs = [Candidate(frozenset(names[index : index + 2]), 15) for index in range(count - 1)]
    return Problem(names, tensors, tuple(singles + pairs), capacity)


@pytest.mark.parametrize("block", range(10))
def test_all_solvers_agree_on_small_problems(block):
    pytest.importorskip("ortools")
    for seed in range(30 * block, 30 * block + 30):
        problem = small_problem(seed)
        expected = attempt(brute_force.solve, problem)
        assert attempt(dynamic_programme.solve, problem) == expected, seed
        checked = attempt(cp_sat.solve, problem)
        assert (checked is None) == (expected is None), seed
        if expected:
            assert checked.optimal
            assert checked.objective.costs == expected.objective.costs, seed


def compare_with_cp_sat(seed, size):
    pytest.importorskip("ortools")
    problem = random_problem(seed, size, keep=0.35)
    problem = with_loads(problem, seed) if seed % 3 == 0 else problem
    expected = attempt(cp_sat.solve, problem)
    found = attempt(dynamic_programme.solve, problem)
    assert (expected is None) == (found is None)
    if expected:
        assert expected.optimal
        assert found.optimal
        assert found.objective.costs == expected.objective.costs


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_cp_sat(seed):
    compare_with_cp_sat(1000 + seed, 8 + seed % 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_agrees_with_cp_sat_on_larger_problems(seed):
    compare_with_cp_sat(2000 + seed, 9 + seed % 7)


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_more_memory_is_never_worse(seed, size):
    problem = random_problem(seed, size)
    before = None
    for capacity in (0, 3, 6, 9, 14, 20, 40, 500):
        found = attempt(dynamic_programme.solve, replace(problem, capacity_words=capacity))
        if before is not None:
            assert found is not None
            assert found.objective.costs[:2] <= before.objective.costs[:2]
        before = found


@given(st.integers(0, 10**6), st.integers(1, 8), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_more_lanes_are_never_worse(seed, size, rng):
    """More lanes: phases that are faster, and phases that were not possible before."""
    problem = random_problem(seed, size)
    before = attempt(dynamic_programme.solve, problem)
    faster = tuple(replace(c, cycles=rng.randint(c.cycles // 2, c.cycles)) for c in problem.candidates)
    everything = Candidate(frozenset(problem.tasks), 4 * size, "all", 3)
    for candidates in (faster, (*problem.candidates, everything)):
        found = attempt(dynamic_programme.solve, replace(problem, candidates=candidates))
        assert before is None or found.objective.cycles <= before.objective.cycles


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_more_bandwidth_is_never_worse(seed, size):
    problem = random_problem(seed, size)
    before = None
    for factor in (4, 3, 2, 1, 0):  # cycles of a spilled word
        tensors = tuple(
            replace(t, write_cycles=factor * t.write_cycles, read_cycles=factor * t.read_cycles)
            for t in problem.tensors
        )
        found = attempt(dynamic_programme.solve, replace(problem, tensors=tensors))
        assert before is None or found.objective.cycles <= before.objective.cycles
        before = found


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_never_worse_than_the_pure_schedules(seed, size):
    problem = random_problem(seed, size)
    everything = Candidate(frozenset(problem.tasks), 5 * size, "all", 3)
    problem = replace(problem, candidates=(*problem.candidates, everything))
    found = attempt(dynamic_programme.solve, problem)
    cheapest = {}
    for candidate in problem.candidates:
        if len(candidate.tasks) == 1:
            (task,) = candidate.tasks
            cheapest[task] = min(cheapest.get(task, candidate), candidate, key=lambda c: c.cycles)
    for phases in ([everything], [cheapest[task] for task in problem.tasks]):
        for place in ("chip", "spilled"):
            try:
                rival = evaluate(
                    problem, phases, {tensor.name: place for tensor in crossing(problem, phases)}
                )
            except OverCapacityError:
                continue
            assert found.objective <= rival


@given(st.integers(0, 10**6), st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_of_the_tables_does_not_matter(seed, size, rng):
    problem = with_loads(random_problem(seed, size), seed)
    candidates, tensors = list(problem.candidates), list(problem.tensors)
    rng.shuffle(candidates)
    rng.shuffle(tensors)
    shuffled = replace(problem, candidates=tuple(candidates), tensors=tuple(tensors))
    assert attempt(dynamic_programme.solve, shuffled) == attempt(dynamic_programme.solve, problem)


@given(st.integers(0, 10**6), st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_bound_holds(seed, size):
    problem = with_loads(random_problem(seed, size), seed)
    found = attempt(dynamic_programme.solve, problem)
    if found is not None:
        assert lower_bound_cycles(problem) <= found.objective.cycles
        known = prices(problem)
        for index, phase in enumerate(found.phases):
            before = {task for earlier in found.phases[:index] for task in earlier.tasks}
            waiting = crossing(problem, found.phases)
            spilled = [tensor for tensor in waiting if found.placements[tensor.name] == "spilled"]
            written = [tensor for tensor in spilled if tensor.producer in phase.tasks]
            read = [t for t in spilled if t.producer in before and not phase.tasks.isdisjoint(t.consumers)]
            cycles = phase.cycles + spill_cycles(written, read)
            assert sum(known.of[task] for task in phase.tasks) <= cycles * known.scale


def test_bound_of_a_chain_is_exact():
    for count in (1, 2, 7, 20):
        problem = chain(count)
        assert lower_bound_cycles(problem) == dynamic_programme.solve(problem).objective.cycles


def test_spills_add_up():
    one, two = Tensor("a", "p", ("q",), 3, False, 5, 7), Tensor("b", "p", ("q",), 4, False, 11, 13)
    assert spill_cycles((one, two), (two, one)) == sum(
        spill_cycles(*sets) for sets in [((one,), ()), ((two,), ()), ((), (one,)), ((), (two,))]
    )
    assert spill_words((one,), (one, two)) == 10


def test_pairs_of_a_chain():
    solution = dynamic_programme.solve(chain(5))
    assert solution.objective.costs == (40, 0, 8)
    assert [sorted(phase.tasks) for phase in solution.phases] == [
        ["task000"],
        ["task001", "task002"],
        ["task003", "task004"],
    ]
    assert set(solution.placements.values()) == {"chip"}


def test_what_does_not_fit_is_spilled():
    solution = dynamic_programme.solve(chain(3, words=4, capacity=3, spill=2))
    assert solution.objective.costs == (29, 8, 0)
    assert set(solution.placements.values()) == {"spilled"}


def test_a_load_is_hidden_by_the_phase_before():
    """Of two ways to run b, the one that takes longer hides what c loads."""
    tasks = ("a", "b", "c")
    tensors = (Tensor("x", "a", ("b",), 1), Tensor("y", "b", ("c",), 1))
    a = Candidate(frozenset("a"), 10, load_cycles=5, hiding_cycles=10)
    b = Candidate(frozenset("b"), 10, "fast", load_cycles=12, hiding_cycles=10)
    c = Candidate(frozenset("c"), 10, load_cycles=30, hiding_cycles=10)
    quick = dynamic_programme.solve(Problem(tasks, tensors, (a, b, c), 10))
    assert quick.objective.cycles == 5 + 10 + 2 + 10 + 20 + 10
    slow = replace(b, cycles=25, label="slow", load_cycles=9, hiding_cycles=25)
    both = dynamic_programme.solve(Problem(tasks, tensors, (a, b, c, slow), 10))
    assert both.objective.cycles == 5 + 10 + 25 + 5 + 10
    assert [phase.label for phase in both.phases] == ["", "slow", ""]


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_faster_loads_are_never_worse(seed, size):
    problem = with_loads(random_problem(seed, size), seed)
    before = None
    for quotient in (1, 2, 3, 10**6):
        candidates = tuple(replace(c, load_cycles=c.load_cycles // quotient) for c in problem.candidates)
        found = attempt(dynamic_programme.solve, replace(problem, candidates=candidates))
        assert before is None or found.objective.cycles <= before.objective.cycles
        before = found


def test_a_skip_connection_holds_its_place():
    tasks = ("a", "b", "c")
    tensors = (Tensor("skip", "a", ("b", "c"), 5, False, 2, 3), Tensor("x", "b", ("c",), 6, False, 2, 3))
    singles = tuple(Candidate(frozenset({task}), 10) for task in tasks)
    roomy = dynamic_programme.solve(Problem(tasks, tensors, singles, 11))
    assert roomy.objective.costs == (30, 0, 11)
    tight = dynamic_programme.solve(Problem(tasks, tensors, singles, 10))
    assert tight.objective.costs == (35, 12, 5)
    assert tight.placements == {"skip": "chip", "x": "spilled"}


def wide_problem(count=14):
    names = tuple(f"task{index:02}" for index in range(count))
    sets = [chosen for size in (1, 2, 3) for chosen in combinations(names, size)]
    rng = random.Random(0)
    candidates = tuple(Candidate(frozenset(chosen), rng.randint(5, 9) * len(chosen)) for chosen in sets)
    return Problem(names, tuple(Tensor(f"x{name}", name, (), 1, True) for name in names), candidates, 10)


def test_too_wide_a_graph_is_refused_or_searched_by_beam():
    problem = wide_problem()
    with pytest.raises(TooManyStatesError, match=r"more than 20 states over [0-9]+ downsets") as caught:
        dynamic_programme.solve(replace(problem, capacity_words=9), max_states=20)
    assert caught.value.downsets >= 20
    narrow = attempt(dynamic_programme.solve, problem, max_states=20, beam=4)
    assert not narrow.optimal
    assert lower_bound_cycles(problem) <= narrow.lower_bound_cycles <= narrow.objective.cycles
    exact = attempt(dynamic_programme.solve, problem)
    assert exact.optimal
    assert exact.objective <= narrow.objective


def test_no_schedule():
    problem = Problem(("a", "b", "c"), (), (Candidate(frozenset("ab"), 1), Candidate(frozenset("bc"), 1)), 5)
    for solve in (dynamic_programme.solve, brute_force.solve):
        with pytest.raises(NoScheduleError):
            solve(problem)
    crowded = Problem(("a",), (), (Candidate(frozenset("a"), 1, working_words=6),), 5)
    with pytest.raises(NoScheduleError, match="'a' needs more than the 5"):
        dynamic_programme.solve(crowded)


A, B, C = (Candidate(frozenset(task), 1) for task in "abc")
AB = Tensor("x", "a", ("b",), 1)
BC = Tensor("y", "b", ("c",), 1)


@pytest.mark.parametrize(
    ("tasks", "tensors", "candidates", "message"),
    [
        ("abca", (), (A, B, C), "task 'a' appears more than once"),
        ("abc", (AB, AB), (A, B, C), "tensor 'x' appears more than once"),
        ("abc", (), (A, B, C, A), "candidate .* appears more than once"),
        ("abc", (Tensor("x", "a", ("d",), 1),), (A, B, C), "unknown task 'd'"),
        ("abc", (), (A, B, C, Candidate(frozenset("d"), 1)), "unknown task 'd'"),
        ("abc", (AB, Tensor("y", "b", ("a",), 1)), (A, B, C), "cyclic"),
        ("ba", (AB,), (A, B), "topological order"),
        ("abc", (AB, BC), (A, B, C, Candidate(frozenset("ac"), 1)), "not convex.* by 'b'"),
        ("abc", (), (A, B), "task 'c' is in no candidate"),
        ("a", (), (A, Candidate(frozenset(), 1)), "no tasks"),
        ("a", (), (Candidate(frozenset("a"), -1),), "negative"),
        ("a", (Tensor("x", "a", (), 0),), (A,), "at least one word"),
    ],
)
def test_bad_problems(tasks, tensors, candidates, message):
    with pytest.raises(ValueError, match=message):
        Problem(tuple(tasks), tensors, candidates, 5)


@pytest.mark.parametrize(
    ("phases", "placements", "message"),
    [
        ((A, B), {"x": "chip", "y": "chip"}, "'c' is in no phase"),
        ((A, B, B, C), {"x": "chip", "y": "chip"}, "more than one phase"),
        ((B, A, C), {"x": "chip", "y": "chip"}, "'b' runs before 'a'"),
        ((A, B, C), {"x": "chip"}, "placements"),
        ((A, B, replace(C, cycles=0)), {"x": "chip", "y": "chip"}, "not a candidate"),
    ],
)
def test_illegal_answers(phases, placements, message):
    problem = Problem(("a", "b", "c"), (AB, BC), (A, B, C), 5)
    with pytest.raises(ValueError, match=message):
        evaluate(problem, phases, placements)


def test_brute_force_has_a_limit():
    with pytest.raises(ValueError, match="up to 7 tasks"):
        brute_force.solve(chain(8))


def test_missing_ortools_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(IntarsiaError, match=r"pip install 'intarsia\[solver\]'"):
        cp_sat.solve(chain(2))


def test_long_chain():
    solution = dynamic_programme.solve(chain(300, capacity=9))
    assert solution.optimal
    assert solution.objective.costs == (2250, 0, 8)

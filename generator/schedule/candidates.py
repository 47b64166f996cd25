"""The schedules of each kind that are tried for a board, every one with its sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from ..board import Board
from ..machine.hardware import words_of
from ..machine.units.circulant_form import block_of
from ..machine.wiring import wire
from ..task_graph import TaskGraph
from ..work import MacWork
from .dram import UNLIMITED, Streaming, dram_of
from .engine_sets import Climb, EngineSets, Outputs
from .evaluate import Evaluation, best, evaluate, evaluate_spilled
from .floor import floor_cycles
from .mixed import PhaseCosts, mixed
from .phases import Engines
from .plan import Schedule, ScheduleError, Weights
from .products import (
    channels_of_spectra,
    gain_of_block,
    mac_trips,
    mac_works,
    weight_memories_fit,
    weights_fit,
)
from .pure import dataflow, sequential
from .word_widths import fits_word, weight_word_bytes

_MOST_ENGINES = 3
"""Engines of a mixed schedule: each more costs windows, switches and time to search."""

_ENGINE_WORDS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Words of output channels that an engine of a mixed schedule makes per pass, where it is more than one."""

_SAMPLES = 300
"""Sets of engines times tasks that are tried first of each band and width of words; a schedule for each is a search of its own."""

_EFFORT = 1500
"""Sets of engines times tasks that are tried of each at most, with the neighbours of the best."""

_BANDS = 3
"""Bands of sets of engines between so many multipliers and twice as many."""

_MANY_TASKS = 100
"""Above which that is one band: each has the floor and the fewest sets to be computed, however few are tried."""

_FEWEST = 2
"""Sets of engines that are tried of each whatever the number of tasks."""

_THOROUGH = 6
"""Times as many for models of few tasks whose weights are resident, so that each set is tried one way only."""

_MOST = 60
"""Of these, sets that are tried first: models of a few layers need no more."""

_ENTRIES = (512, 1024, 2048, 4096, 8192)
"""Entries of a memory of streamed weights: one to sixteen BRAMs' depth."""


def sequential_candidates(
    graph: TaskGraph, board: Board, choices: Sequence[int], multipliers: int, batch: int
) -> Iterator[Evaluation]:
    """One engine for all layers, or one for each size of circulant blocks, from the fastest size on.

    Args:
        graph: quantised task graph.
        board: what they have to fit.
        choices: elements of a word to try.
        multipliers: at most so many products per cycle, as if no weights were circulant.
        batch: samples per launch.
    """
    works = mac_works(graph)
    widest = max((work.outputs for work in works.values()), default=1)
    blocks = {block_of(graph, graph.task(name)) for name in works}
    most = int(multipliers * max((gain_of_block(graph, block) for block in blocks), default=1.0))
    ways = (False, True) if len(blocks) > 1 else (False,)
    spectra = max((channels_of_spectra(graph, task.name) for task in graph.tasks), default=1)
    if spectra > 1:
        ways = (True,)
    sizes = [
        (sum(mac_trips(work, lanes, outputs) for work in works.values()), -lanes * outputs, lanes, outputs)
        for lanes in choices
        for outputs in _fewer_passes(works.values(), _output_choices(lanes, min(widest, most // lanes)))
        if outputs % spectra == 0 and lanes * outputs <= max(most, lanes) and fits_word(graph, lanes, outputs)
    ]
    may_reside = weights_fit(graph, board)
    fastest: int | None = None
    for trips, _, lanes, outputs in sorted(sizes):
        if fastest is not None and trips >= fastest:
            break  # engines run one task after the other: no size that is left can be faster
        for apart in ways:
            resident = replace(sequential(graph, lanes, outputs, apart=apart), batch=batch)
            tried = list(evaluate_spilled(graph, resident, board)) if may_reside else []
            if not tried or (not tried[0].fits and tried[0].short_of_memory):
                tried += _streamed(graph, board, lanes, outputs, apart, batch)
            if not tried:
                tried = [evaluate(graph, resident, board)]
            yield from tried
            found = best(tried)
            if found is not None:
                fastest = found.interval if fastest is None else min(fastest, found.interval)


def _streamed(
    graph: TaskGraph, board: Board, lanes: int, outputs: int, apart: bool, batch: int
) -> Iterator[Evaluation]:
    """Sequential schedules with weights from DRAM, while they fit."""
    for entries in _ENTRIES:
        try:
            prefetched = replace(
                sequential(graph, lanes, outputs, entries, apart),
                weight_bytes=weight_word_bytes(graph, board, lanes),
                batch=batch,
            )
            loaded = list(evaluate_spilled(graph, replace(prefetched, weights=Weights.LOADED), board))
        except ScheduleError:  # one pass of a task needs more
            continue
        yield from loaded
        if best(loaded) is None:
            break  # a deeper memory, or a second one to fill meanwhile, does not fit either
        yield from evaluate_spilled(graph, prefetched, board)


def dataflow_candidates(
    graph: TaskGraph, board: Board, choices: Sequence[int], multipliers: int, batch: int
) -> Iterator[Evaluation]:
    """For each word width, the units sized for the shortest interval that fits, and for longer ones that may take fewer cycles.

    The interval is the largest trip count over the units, so that no schedule takes less; one of a longer interval may
    fill its pipeline sooner. Giving every unit the fewest outputs that reach an interval
    is exact: trips fall and resources grow with outputs. But where weights are circulant, passes of whole blocks need
    fewer weights than smaller ones do, so both are tried.
    """
    works = mac_works(graph)
    blocks = {name: block_of(graph, graph.task(name)) for name in works}
    gains = {name: gain_of_block(graph, block) for name, block in blocks.items()}
    fastest: int | None = None
    for lanes, whole in product(choices, (False, True)):
        units = {
            name: block if whole and lanes % block == 0 else channels_of_spectra(graph, name)
            for name, block in blocks.items()
        }
        if whole and all(unit == channels_of_spectra(graph, name) for name, unit in units.items()):
            continue
        options_of = {
            name: [
                (mac_trips(work, lanes, outputs), outputs)
                for outputs in _output_choices(lanes, work.outputs)
                if fits_word(graph, lanes, outputs) and outputs % units[name] == 0
            ]
            for name, work in works.items()
        }
        intervals = sorted({trips for options in options_of.values() for trips, _ in options})
        floor = max((min(options)[0] for options in options_of.values()), default=0)
        feasible = [interval for interval in intervals if interval >= floor] or [0]
        found: dict[int, Evaluation | None] = {}

        def sized(
            number: int,
            lanes: int = lanes,
            feasible: Sequence[int] = feasible,
            options_of: Mapping[str, Sequence[tuple[int, int]]] = options_of,
            found: dict[int, Evaluation | None] = found,
        ) -> Evaluation | None:
            """The schedule of an interval; None if it needs too many multipliers."""
            if number not in found:
                outputs = {
                    name: min(o for trips, o in options if trips <= feasible[number])
                    for name, options in options_of.items()
                }
                schedule = replace(dataflow(graph, lanes, outputs), batch=batch)
                rows = sum(made / gains[name] for name, made in outputs.items())
                rows += sum(unit.products for unit in schedule.units)
                found[number] = evaluate(graph, schedule, board) if rows * lanes <= multipliers else None
            return found[number]

        low, high = 0, len(feasible) - 1
        while low <= high:
            middle = (low + high) // 2
            one = sized(middle)
            if one is not None and one.fits:
                high = middle - 1
            else:
                low = middle + 1
        for number in range(low, len(feasible)):
            if fastest is not None and feasible[number] >= fastest:
                break
            one = sized(number)
            if one is not None and one.fits:
                fastest = min(one.interval, fastest or one.interval)
        yield from (one for one in found.values() if one is not None)


def mixed_candidates(
    graph: TaskGraph,
    board: Board,
    choices: Sequence[int],
    costs: PhaseCosts,
    multipliers: int,
    batch: int,
) -> Iterator[Evaluation]:
    """Mixed schedules on two or three engines, which together have so many multipliers at most.

    Engines of sizes in between would gain a few per cent at ten times the search.
    """
    macs = mac_works(graph)
    if len(macs) < 2:
        return
    if any(channels_of_spectra(graph, name) > 1 for name in macs):
        return  # those need engines of their own, and a mixed schedule shares all of its engines
    blocks = {block_of(graph, graph.task(name)) for name in macs}
    most = multipliers * (gain_of_block(graph, min(blocks)) if len(blocks) == 1 else 1.0)
    may_reside = weights_fit(graph, board)
    widest = max(work.outputs for work in macs.values())
    counts = range(2, min(_MOST_ENGINES, len(macs)) + 1)

    def sets_of(lanes: int) -> EngineSets:
        sizes = tuple(
            size
            for size in _output_choices(lanes, widest)
            if fits_word(graph, lanes, size) and (size <= lanes or size // lanes in _ENGINE_WORDS)
        )
        sets = (outputs for count in counts for outputs in product(sizes, repeat=count))
        return EngineSets(lanes, sizes, frozenset(sets), _BANDS if len(graph.tasks) <= _MANY_TASKS else 1)

    def cost(lanes: int, outputs: Outputs) -> list[Evaluation]:
        engines = Engines(outputs, lanes)
        if not may_fit(lanes, outputs):  # though a larger board may
            schedule = mixed(graph, engines, UNLIMITED, costs, batch=batch)
            return [replace(evaluate(graph, schedule, board), excess=("DSP: more multipliers than allowed",))]
        tried = list(_with_spills(graph, board, engines, costs, batch)) if may_reside else []
        if not tried or (not tried[0].fits and tried[0].short_of_memory):
            tried += _streamed_mixed(graph, board, engines, costs, batch)
        return tried

    def may_fit(lanes: int, outputs: Outputs) -> bool:
        return sum(outputs) * lanes <= most

    def floor(lanes: int, rows: int) -> int:
        return floor_cycles(graph, lanes, rows, counts[-1], batch)

    tasks = len(graph.tasks)
    samples, effort = max(_FEWEST, _SAMPLES // tasks), max(2 * _FEWEST, _EFFORT // tasks)
    if may_reside and tasks <= _MANY_TASKS:
        samples, effort = max(samples, min(_THOROUGH * samples, _MOST)), 2 * effort
    yield from Climb(
        [sets_of(lanes) for lanes in choices],
        cost,
        may_fit,
        floor,
        samples=samples,
        effort=effort,
    ).run()


def _streamed_mixed(
    graph: TaskGraph, board: Board, engines: Engines, costs: PhaseCosts, batch: int
) -> Iterator[Evaluation]:
    """Mixed schedules with weights from DRAM: of the memories that fit, the deepest of either way to fill them.

    A deeper memory allows all phases that a shallower one does. A second one to fill meanwhile is only worth it if
    it leaves as many entries, or hides more than they save; so both ways are tried.
    """
    dram = dram_of(board, graph, engines.lanes, weight_word_bytes(graph, board, engines.lanes))
    for weights, copies in ((Weights.PREFETCHED, 2), (Weights.LOADED, 1)):
        for entries in reversed(_ENTRIES):
            if not weight_memories_fit(graph, board, engines.lanes, copies * sum(engines.outputs), entries):
                continue
            streaming = Streaming(weights, dram, entries)
            try:
                tried = list(_with_spills(graph, board, engines, costs, batch, streaming))
            except ScheduleError:  # one pass of a task needs more
                break
            yield from tried
            if best(tried) is not None or not tried[0].short_of_memory:
                break


def _with_spills(
    graph: TaskGraph,
    board: Board,
    engines: Engines,
    costs: PhaseCosts,
    batch: int,
    streaming: Streaming | None = None,
) -> Iterator[Evaluation]:
    """The mixed schedule of fewest cycles in endless banks; where those do not fit, also with its largest tensors in DRAM.

    If that takes cycles, phases are chosen anew, for banks of the size that fits: others may move less.
    """
    dram = dram_of(board, graph, engines.lanes)

    def phases(bank_words: int) -> Schedule:
        return mixed(graph, engines, bank_words, costs, streaming, dram, batch)

    tried = list(evaluate_spilled(graph, phases(UNLIMITED), board))
    yield from tried
    fitting = best(tried)
    if fitting is not None and fitting.interval > tried[0].interval:
        yield from evaluate_spilled(graph, phases(_largest_on_chip(graph, fitting.schedule)), board)


def _largest_on_chip(graph: TaskGraph, schedule: Schedule) -> int:
    """Words of the largest tensor that waits in a bank."""
    stored = {*wire(graph, schedule).stored}.difference(graph.outputs, schedule.spilled)
    return max((words_of(graph, name, schedule.lanes) for name in stored), default=0)


def _output_choices(lanes: int, channels: int) -> list[int]:
    """Outputs per pass: divisors and multiples of the word, up to all channels."""
    small = [lanes >> shift for shift in range(lanes.bit_length())]
    large = [lanes * times for times in range(2, -(-channels // lanes) + 1)]
    return sorted({*small, *large})


def _fewer_passes(works: Iterable[MacWork], choices: Sequence[int]) -> list[int]:
    """Of these outputs per pass, those with which some task needs fewer passes than with the choice before."""
    kept: list[int] = []
    best: list[int] | None = None
    channels = [work.outputs for work in works]
    for outputs in choices:
        passes = [-(-count // outputs) for count in channels]
        if best is None or any(now < before for now, before in zip(passes, best, strict=True)):
            kept.append(outputs)
            best = passes
    return kept

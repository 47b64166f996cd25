"""Sizes the pure schedules for a board, and takes the better one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..board import Board
from ..circulant.exact import LARGEST, multiplications
from ..machine.circulant_form import block_of
from ..machine.mac_process import mac_steps, products_per_dsp
from ..machine.resources import BRAM18_BITS, URAM_BITS
from ..machine.window import plan_patches
from ..ops.spectral import SPECTRAL
from ..task_graph import Parameter, TaskGraph
from ..work import MacWork, StencilWork
from .advice import what_would_fit
from .engine_sets import Climb, EngineSets, Outputs
from .evaluate import USABLE, Evaluation, best, evaluate, evaluate_spilled
from .mixed import PhaseCosts, mixed
from .phases import Engines
from .plan import ScheduleError, Weights
from .pure import dataflow, sequential

KINDS = ("auto", "mixed", "dataflow", "sequential")

_MOST_ENGINES = 3
"""Engines of a mixed schedule: each more costs windows, switches and time to search."""

_ENGINE_WORDS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Words of output channels that an engine of a mixed schedule makes per pass, where it is more than one."""

_ENOUGH = 0.65
"""Multipliers of a mixed schedule's engines, at least, as a share of the board's DSPs."""

_SAMPLES = 900
"""Sets of engines times tasks that are tried first for each width of words; a schedule for each is a search of its own."""

_EFFORT = 10_000
"""Sets of engines times tasks that are tried at most, with the neighbours of the best."""

_FEWEST = 6
"""Sets of engines that are tried whatever the number of tasks."""

_UNLIMITED = 1 << 30
"""Words between phases: `evaluate` tells afterwards whether the banks fit the board."""

WIDEST_WORD = 4096
"""Bits of the widest word that Vitis HLS builds."""

_SUM_BITS = 32
"""Of a sum, at most, in all but extreme layers."""

WIDEST_PORT = 64
"""Bytes of a word of weights in DRAM: 512 bits, what Vitis HLS makes of an AXI port by default at most."""

LANES = (4, 8, 16, 32)
"""Elements per word that a user may ask for, and that are tried where he does not say."""

WIDE_LANES = (64, 128)
"""Tried as well where the widest of LANES is, for boards with more multipliers than its engines can have."""


@dataclass(frozen=True)
class Decision:
    """The chosen schedule by the cost model.

    Attributes:
        chosen: the best schedule of the asked kind that fits the board.
        found: the best of each kind that was asked for, `chosen` among them.
        baselines: cycles of the pure schedules (None where one is impossible).
        notes: why there is no schedule of some kind.
    """

    chosen: Evaluation
    found: tuple[Evaluation, ...]
    baselines: dict[str, int | None]
    notes: tuple[str, ...]


def decide(
    graph: TaskGraph,
    board: Board,
    kind: str = "auto",
    lanes: Sequence[int] = LANES,
    costs: PhaseCosts | None = None,
    multipliers: int | None = None,
) -> Decision:
    """The best schedule of the asked kind that fits the board.

    Args:
        graph: quantised task graph.
        board: what it has to fit.
        kind: one of KINDS; "auto" is the best of the others.
        lanes: elements per word to try; to LANES a word is added that holds the largest circulant block, if none does.
        costs: cycles of phases, kept from call to call for the same graph.
        multipliers: engines have at most so many in all; by default as many as the board's DSPs make.

    Raises:
        ScheduleError: the kind or a number of lanes is unknown, or nothing of that kind fits; names the resource that
            is short.
    """
    if kind not in KINDS:
        raise ScheduleError(f"unknown schedule {kind!r}: choose one of {', '.join(KINDS)}")
    choices = _word_choices(graph, lanes)
    most = _most_products(graph, board) if multipliers is None else multipliers
    choices += [count for count in _wide_words(graph, choices, most) if count not in choices]
    costs = {} if costs is None else costs
    found: dict[str, Evaluation | None] = {}
    impossible: dict[str, str] = {}
    smallest: dict[str, Evaluation] = {}
    kinds = {
        "dataflow": _dataflows(graph, board, choices, most),
        "sequential": _sequentials(graph, board, choices, most),
    }
    if kind in ("auto", "mixed"):
        least = (
            multipliers or board.resources.dsp
        )  # whether DSPs are paired or not: logic may be short before them
        most = int(USABLE["dsp"] * most) if multipliers is None else most
        kinds["mixed"] = _mixed(graph, board, choices, costs, (int(_ENOUGH * USABLE["dsp"] * least), most))
    for name, candidates in kinds.items():
        try:
            tried = list(candidates)
        except ScheduleError as error:
            found[name], impossible[name] = None, str(error)
            continue
        found[name] = best(tried)
        if not tried:
            impossible[name] = "there are too few layers with weights, or multipliers, for several engines"
        elif found[name] is None:
            smallest[name] = min(tried, key=lambda e: (len(e.excess), e.resources.bram18, e.resources.dsp))
    too_large = {name: "; ".join(evaluation.excess) for name, evaluation in smallest.items()}
    reasons = impossible | too_large
    wanted = [kind] if kind != "auto" else list(found)
    fitting = tuple(evaluation for name in wanted if (evaluation := found[name]) is not None)
    chosen = best(fitting)
    if chosen is None:
        why = ". ".join(f"{name}: {reasons[name]}" for name in wanted)
        if not any(name in too_large for name in wanted):
            raise ScheduleError(f"the datapath cannot run this model. {why}. Try another --schedule")
        nearest = min(smallest.values(), key=lambda e: (len(e.excess), e.resources.bram18, e.resources.dsp))
        raise ScheduleError(f"the model does not fit {board.name}. {why}. {what_would_fit(nearest)}")
    baselines = {name: evaluation.cycles if evaluation else None for name, evaluation in found.items()}
    baselines.pop("mixed", None)
    notes = tuple(f"no {name} schedule: {reason}" for name, reason in reasons.items() if name != "mixed")
    return Decision(chosen, fitting, baselines, notes)


def _word_choices(graph: TaskGraph, lanes: Sequence[int]) -> list[int]:
    """Elements of the words to try, of those that were asked for.

    Raises:
        ScheduleError: none of them is possible.
    """
    large = _words_of_large_blocks(graph)
    if unknown := [count for count in lanes if count not in LANES and count not in large]:
        raise ScheduleError(f"--lanes must be of {', '.join(map(str, LANES))}, not {unknown[0]}")
    wanted = [*lanes, *large] if tuple(lanes) == LANES else lanes
    choices = [count for count in dict.fromkeys(wanted) if count <= _most_lanes(graph) or count in large]
    if not choices:
        raise ScheduleError(
            f"words of {min(lanes)} elements are too wide for more than 8 bits: at most {_most_lanes(graph)} (--lanes)"
        )
    spectra = max((_spectra(graph, task.name) for task in graph.tasks), default=1)
    if not (choices := [count for count in choices if count % spectra == 0]):
        raise ScheduleError(f"spectra of {spectra} channels need words of as many elements (--lanes)")
    return choices


def _most_lanes(graph: TaskGraph) -> int:
    """Elements of the widest word; a 16-bit word holds half as many, but where the pixels of rows fill it."""
    wide = max(tensor.number.bits for tensor in graph.tensors.values()) > 8
    rows = any(isinstance(task.operator.work(task, graph), StencilWork) for task in graph.tasks)
    return max(LANES) // 2 if wide and not rows else max(LANES)


def _wide_words(graph: TaskGraph, choices: Sequence[int], multipliers: int) -> list[int]:
    """Words wider than those asked for, if engines of these cannot have all the multipliers, and channels fill them."""
    widest = _most_lanes(graph)
    if widest not in choices or multipliers <= widest * (WIDEST_WORD // _SUM_BITS):
        return []
    channels = max((work.channels for work in _mac_works(graph).values()), default=1)
    halved = max(LANES) // widest
    return [count // halved for count in WIDE_LANES if count // halved <= channels]


def _words_of_large_blocks(graph: TaskGraph) -> list[int]:
    """Elements of a word that holds the largest circulant block, if the others do not and an AXI port can bring it."""
    block = max((block_of(graph, graph.task(name)) for name in _mac_works(graph)), default=1)
    wide = max(tensor.number.bits for tensor in graph.tensors.values()) > 8
    return [block] if _most_lanes(graph) < block <= WIDEST_PORT // (2 if wide else 1) else []


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


def _most_products(graph: TaskGraph, board: Board) -> int:
    """Products per cycle that the board's DSPs make, if all of them do nothing else."""
    return board.resources.dsp * _products_per_dsp(graph)


def _products_per_dsp(graph: TaskGraph) -> int:
    elements = max(tensor.number.bits for tensor in graph.tensors.values())
    return products_per_dsp(elements, max((weight.number.bits for weight in _weights(graph)), default=1))


def _weights_fit(graph: TaskGraph, board: Board) -> bool:
    """False if the weights alone are more than the board's memories hold, however they are arranged."""
    bits = sum(
        parameter.values.size // block_of(graph, task) * parameter.number.bits
        for task in graph.tasks
        for role, parameter in task.parameters.items()
        if role in task.operator.weight_roles
    )
    bram18 = USABLE["bram18"] * board.resources.bram18 * BRAM18_BITS
    return bits <= bram18 + USABLE["uram"] * board.resources.uram * URAM_BITS


def _fits_word(graph: TaskGraph, lanes: int, outputs: int) -> bool:
    """True if neither a word of weights nor the sums of a pass are wider than Vitis HLS allows a word to be."""
    bits = max((weight.number.bits for weight in _weights(graph)), default=1)
    return lanes * bits <= WIDEST_WORD and outputs * _SUM_BITS <= WIDEST_WORD


def _weights(graph: TaskGraph) -> list[Parameter]:
    return [task.parameters[role] for task in graph.tasks for role in task.operator.weight_roles]


def _mac_works(graph: TaskGraph) -> dict[str, MacWork]:
    works = {task.name: task.operator.work(task, graph) for task in graph.tasks}
    return {name: work for name, work in works.items() if isinstance(work, MacWork)}


def _sequentials(
    graph: TaskGraph, board: Board, choices: Sequence[int], multipliers: int
) -> Iterator[Evaluation]:
    widest = max((work.outputs for work in _mac_works(graph).values()), default=1)
    blocks = {block_of(graph, graph.task(name)) for name in _mac_works(graph)}
    most = int(multipliers * max((_gain(graph, block) for block in blocks), default=1.0))
    ways = (False, True) if len(blocks) > 1 else (False,)
    spectra = max((_spectra(graph, task.name) for task in graph.tasks), default=1)
    if spectra > 1:
        ways = (True,)
    works = _mac_works(graph)
    sizes = [
        (sum(_trips(work, lanes, outputs) for work in works.values()), -lanes * outputs, lanes, outputs)
        for lanes in choices
        for outputs in _fewer_passes(works.values(), _output_choices(lanes, min(widest, most // lanes)))
        if outputs % spectra == 0
        and lanes * outputs <= max(most, lanes)
        and _fits_word(graph, lanes, outputs)
    ]
    may_reside = _weights_fit(graph, board)
    fastest: int | None = None
    for trips, _, lanes, outputs in sorted(sizes):
        if fastest is not None and trips >= fastest:
            break  # engines run one task after the other: no size that is left can be faster
        for apart in ways:
            resident = sequential(graph, lanes, outputs, apart=apart)
            tried = list(evaluate_spilled(graph, resident, board)) if may_reside else []
            if not tried or (not tried[0].fits and tried[0].short_of_memory):
                tried += _streamed(graph, board, lanes, outputs, apart)
            if not tried:
                tried = [evaluate(graph, resident, board)]
            yield from tried
            found = best(tried)
            if found is not None:
                fastest = found.cycles if fastest is None else min(fastest, found.cycles)


def _spectra(graph: TaskGraph, name: str) -> int:
    """Channels of the spectra by which a task is computed; 1 for all other tasks."""
    operator = graph.task(name).operator
    return operator.block if isinstance(operator, SPECTRAL) else 1


def _gain(graph: TaskGraph, block: int) -> float:
    """How many more products with weights a DSP can stand for, at most: circulant blocks need fewer, which share none."""
    size = min(block, LARGEST)
    return max(1.0, size * size / multiplications(size) / _products_per_dsp(graph))


def _weight_bytes(graph: TaskGraph, board: Board, lanes: int) -> int:
    """The widest DRAM word of weights that the board's memory can bring in every cycle, up to what AXI has."""
    word = lanes * (1 if max(tensor.number.bits for tensor in graph.tensors.values()) <= 8 else 2)
    while 2 * word <= min(WIDEST_PORT, board.bytes_per_cycle(board.clock_mhz)):
        word *= 2
    return word


def _streamed(graph: TaskGraph, board: Board, lanes: int, outputs: int, apart: bool) -> Iterator[Evaluation]:
    """Sequential schedules with weights from DRAM, for memories of one to sixteen BRAMs' depth, while they fit."""
    for entries in (512, 1024, 2048, 4096, 8192):
        try:
            prefetched = replace(
                sequential(graph, lanes, outputs, entries, apart),
                weight_bytes=_weight_bytes(graph, board, lanes),
            )
            loaded = list(evaluate_spilled(graph, replace(prefetched, weights=Weights.LOADED), board))
        except ScheduleError:  # one pass of a task needs more
            continue
        yield from loaded
        if best(loaded) is None:
            break  # a deeper memory, or a second one to fill meanwhile, does not fit either
        yield from evaluate_spilled(graph, prefetched, board)


def _dataflows(
    graph: TaskGraph, board: Board, choices: Sequence[int], multipliers: int
) -> Iterator[Evaluation]:
    """For each word width, the units sized for the shortest interval that fits, and for every longer one tried before.

    The interval is the largest trip count over the units. Giving every unit the fewest outputs that reach an interval
    is exact: trips fall and resources grow with outputs. But where weights are circulant, passes of whole blocks need
    fewer weights than smaller ones do, so both are tried.
    """
    works = _mac_works(graph)
    blocks = {name: block_of(graph, graph.task(name)) for name in works}
    gains = {name: _gain(graph, block) for name, block in blocks.items()}
    for lanes, whole in product(choices, (False, True)):
        units = {
            name: block if whole and lanes % block == 0 else _spectra(graph, name)
            for name, block in blocks.items()
        }
        if whole and all(unit == _spectra(graph, name) for name, unit in units.items()):
            continue
        options_of = {
            name: [
                (_trips(work, lanes, outputs), outputs)
                for outputs in _output_choices(lanes, work.outputs)
                if _fits_word(graph, lanes, outputs) and outputs % units[name] == 0
            ]
            for name, work in works.items()
        }
        intervals = sorted({trips for options in options_of.values() for trips, _ in options})
        floor = max((min(options)[0] for options in options_of.values()), default=0)
        feasible = [interval for interval in intervals if interval >= floor] or [0]
        low, high = 0, len(feasible) - 1
        while low <= high:
            middle = (low + high) // 2
            outputs = {
                name: min(o for trips, o in options if trips <= feasible[middle])
                for name, options in options_of.items()
            }
            evaluation = evaluate(graph, dataflow(graph, lanes, outputs), board)
            within = sum(made / gains[name] for name, made in outputs.items()) * lanes <= multipliers
            if within:
                yield evaluation
            if evaluation.fits and within:
                high = middle - 1
            else:
                low = middle + 1


def _mixed(
    graph: TaskGraph, board: Board, choices: Sequence[int], costs: PhaseCosts, multipliers: tuple[int, int]
) -> Iterator[Evaluation]:
    """Mixed schedules on two or three engines, which together have so many multipliers, at least and at most.

    Engines of sizes in between would gain a few per cent at ten times the search.
    """
    macs = _mac_works(graph)
    if len(macs) < 2 or not _weights_fit(graph, board):
        return
    if any(_spectra(graph, name) > 1 for name in macs):
        return  # those need engines of their own, and a mixed schedule shares all of its engines
    blocks = {block_of(graph, graph.task(name)) for name in macs}
    gain = _gain(graph, blocks.pop()) if len(blocks) == 1 else 1.0
    widest = max(work.outputs for work in macs.values())
    sets: dict[int, EngineSets] = {}
    for lanes in choices:
        enough, most = (int(gain * count) // lanes for count in multipliers)
        sizes = tuple(
            size
            for size in _output_choices(lanes, widest)
            if _fits_word(graph, lanes, size) and (size <= lanes or size // lanes in _ENGINE_WORDS)
        )
        engines = frozenset(
            outputs
            for count in range(2, min(_MOST_ENGINES, len(macs)) + 1)
            for outputs in product(sizes, repeat=count)
            if enough <= sum(outputs) <= most
        )
        sets[lanes] = EngineSets(sizes, engines)

    def cost(lanes: int, outputs: Outputs) -> Iterator[Evaluation]:
        return evaluate_spilled(graph, mixed(graph, Engines(outputs, lanes), _UNLIMITED, costs), board)

    tasks = len(graph.tasks)
    yield from Climb(sets, cost, _EFFORT // tasks).run(max(_FEWEST, _SAMPLES // tasks))


def _trips(work: MacWork, lanes: int, outputs: int) -> int:
    folds, steps = mac_steps(outputs, work.outputs, lanes)
    return work.pixels * max(folds * plan_patches(work, lanes).words, steps)

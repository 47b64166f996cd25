"""How many elements the words of a design may have, and how many bytes its DRAM words of weights."""

from __future__ import annotations

from collections.abc import Sequence

from ..board import Board
from ..machine.units.circulant_form import block_of
from ..machine.units.window import Way, plan_patches
from ..task_graph import TaskGraph
from ..work import StencilWork
from .plan import ScheduleError
from .products import channels_of_spectra, mac_works, weights_of

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


def word_choices(graph: TaskGraph, lanes: Sequence[int], multipliers: int) -> list[int]:
    """Elements of the words to try: those asked for, and wider ones where the multipliers need them.

    Args:
        graph: quantised task graph.
        lanes: elements per word that were asked for; to LANES a word is added that holds the largest circulant block.
        multipliers: products per cycle that engines may make in all.

    Raises:
        ScheduleError: none of them is possible.
    """
    choices = _asked_for(graph, lanes)
    return [*choices, *(count for count in _wide_words(graph, choices, multipliers) if count not in choices)]


def _asked_for(graph: TaskGraph, lanes: Sequence[int]) -> list[int]:
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
    spectra = max((channels_of_spectra(graph, task.name) for task in graph.tasks), default=1)
    if not (choices := [count for count in choices if count % spectra == 0]):
        raise ScheduleError(f"spectra of {spectra} channels need words of as many elements (--lanes)")
    return choices


def _wide_words(graph: TaskGraph, choices: Sequence[int], multipliers: int) -> list[int]:
    """Words wider than those asked for, if engines of these cannot have all the multipliers, and channels fill them."""
    widest = _most_lanes(graph)
    if widest not in choices or multipliers <= widest * (WIDEST_WORD // _SUM_BITS):
        return []
    channels = max((work.channels for work in mac_works(graph).values()), default=1)
    halved = max(LANES) // widest
    return [count // halved for count in WIDE_LANES if count // halved <= channels]


def _most_lanes(graph: TaskGraph) -> int:
    """Elements of the widest word; a 16-bit word holds half as many, but where pixels side by side fill it."""
    wide = max(tensor.number.bits for tensor in graph.tensors.values()) > 8
    rows = any(isinstance(task.operator.work(task, graph), StencilWork) for task in graph.tasks)
    ways = {plan_patches(work, max(LANES)).way for work in mac_works(graph).values()}
    return max(LANES) if not wide or rows or ways == {Way.PACKED} else max(LANES) // 2


def _words_of_large_blocks(graph: TaskGraph) -> list[int]:
    """Elements of a word that holds the largest circulant block, if the others do not and an AXI port can bring it."""
    block = max((block_of(graph, graph.task(name)) for name in mac_works(graph)), default=1)
    wide = max(tensor.number.bits for tensor in graph.tensors.values()) > 8
    return [block] if _most_lanes(graph) < block <= WIDEST_PORT // (2 if wide else 1) else []


def fits_word(graph: TaskGraph, lanes: int, outputs: int) -> bool:
    """True if neither a word of weights nor the sums of a pass are wider than Vitis HLS allows a word to be."""
    bits = max((weight.number.bits for weight in weights_of(graph)), default=1)
    return lanes * bits <= WIDEST_WORD and outputs * _SUM_BITS <= WIDEST_WORD


def weight_word_bytes(graph: TaskGraph, board: Board, lanes: int) -> int:
    """The widest DRAM word of weights that the board's memory can bring in every cycle, up to what AXI has."""
    word = lanes * (1 if max(tensor.number.bits for tensor in graph.tensors.values()) <= 8 else 2)
    while 2 * word <= min(WIDEST_PORT, board.bytes_per_cycle(board.clock_mhz)):
        word *= 2
    return word

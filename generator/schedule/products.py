"""What layers with weights ask of a board's multipliers and memories, whatever the schedule."""

from __future__ import annotations

from ..board import Board
from ..circulant.exact import LARGEST, multiplications
from ..machine.resources import BRAM18_BITS, URAM_BITS, bram18, uram
from ..machine.units.circulant_form import block_of
from ..machine.units.mac_process import mac_steps, products_per_dsp
from ..machine.units.window import plan_patches
from ..ops.spectral import Spectral
from ..task_graph import Parameter, TaskGraph
from ..work import MacWork
from .evaluate import USABLE


def mac_works(graph: TaskGraph) -> dict[str, MacWork]:
    """The work of the tasks that engines run, by task."""
    works = {task.name: task.operator.work(task, graph) for task in graph.tasks}
    return {name: work for name, work in works.items() if isinstance(work, MacWork)}


def weights_of(graph: TaskGraph) -> list[Parameter]:
    """Weights of all tasks."""
    return [task.parameters[role] for task in graph.tasks for role in task.operator.weight_roles]


def weights_fit(graph: TaskGraph, board: Board) -> bool:
    """False if the weights alone are more than the board's memories hold, however they are arranged."""
    bits = sum(
        parameter.values.size // block_of(graph, task) * parameter.number.bits
        for task in graph.tasks
        for role, parameter in task.parameters.items()
        if role in task.operator.weight_roles
    )
    bram18 = USABLE["bram18"] * board.resources.bram18 * BRAM18_BITS
    return bits <= bram18 + USABLE["uram"] * board.resources.uram * URAM_BITS


def weight_memories_fit(graph: TaskGraph, board: Board, lanes: int, rows: int, entries: int) -> bool:
    """False if so many rows of weights, of so many entries each, are more than the board's memories can be."""
    block = min((block_of(graph, graph.task(name)) for name in mac_works(graph)), default=1)
    bits = lanes * max((weight.number.bits for weight in weights_of(graph)), default=1)
    of_row = max(bram18(bits, entries), 1), uram(bits, entries)
    most = [int(USABLE[name] * getattr(board.resources, name)) for name in ("bram18", "uram")]
    return rows // block <= sum(have // need for have, need in zip(most, of_row, strict=True))


def most_products(graph: TaskGraph, board: Board) -> int:
    """Products per cycle that the board's DSPs make, if all of them do nothing else."""
    return board.resources.dsp * _products_per_dsp(graph)


def _products_per_dsp(graph: TaskGraph) -> int:
    elements = max(tensor.number.bits for tensor in graph.tensors.values())
    return products_per_dsp(elements, max((weight.number.bits for weight in weights_of(graph)), default=1))


def gain_of_block(graph: TaskGraph, block: int) -> float:
    """How many more products with weights a DSP can stand for, at most: circulant blocks need fewer, which share none."""
    size = min(block, LARGEST)
    return max(1.0, size * size / multiplications(size) / _products_per_dsp(graph))


def channels_of_spectra(graph: TaskGraph, name: str) -> int:
    """Channels of the spectra by which a task is computed; 1 for all other tasks."""
    operator = graph.task(name).operator
    return operator.block if isinstance(operator, Spectral) else 1


def mac_trips(work: MacWork, lanes: int, outputs: int) -> int:
    """Iterations of a layer's busiest process on an engine of so many outputs per pass."""
    folds, steps = mac_steps(outputs, work.outputs, lanes)
    return work.pixels * max(folds * plan_patches(work, lanes).words, steps)

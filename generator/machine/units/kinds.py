"""The kinds of units, in datapath order: within a phase, links lead from earlier to later kinds only.

To add one: a Work class (work.py), a kernel header, a file beside this one with the row, the hardware and the UnitKind, its
line in `KINDS`, and its pipeline depth in cost.py.
"""

from __future__ import annotations

from ...per_graph import kept_per_graph
from ...schedule.plan import Phase, Schedule, Unit
from ...task_graph import Task, TaskGraph
from ...work import DepthwiseWork, MacWork, MoveWork, PoolWork, RowPoolWork, StencilWork, TransposeWork
from ..hardware import Hardware, words_of
from ..run import Run
from .combine import COMBINE
from .constant import CONSTANT
from .depthwise import DEPTHWISE
from .engine import ENGINE
from .interpolation import INTERPOLATION
from .kind import UnitKind
from .move import MOVE
from .move_plan import plan_move
from .norm import NORM
from .pool import POOL
from .repeat import REPEAT
from .row_pool import ROW_POOL
from .row_window import row_window_shape
from .softmax import SOFTMAX
from .stencil import STENCIL
from .table import TABLE
from .transpose import TRANSPOSE
from .transpose_plan import plan_transpose
from .window import plan_patches

KINDS: tuple[UnitKind, ...] = (
    CONSTANT,  # first: it reads nothing
    TRANSPOSE,  # next: it reads from memory, as a move does that is no transpose
    MOVE,
    REPEAT,  # of a decoder, what one engine makes is repeated in front of the next
    ENGINE,
    DEPTHWISE,  # of a separable convolution, expand and depthwise run in one phase; project takes the next engine
    STENCIL,
    NORM,
    SOFTMAX,
    COMBINE,
    TABLE,
    INTERPOLATION,
    POOL,
    ROW_POOL,
)


@kept_per_graph
def kind_of(graph: TaskGraph, task: Task) -> UnitKind:
    """The kind of unit that can run a task."""
    work = task.operator.work(task, graph)
    return next(kind for kind in KINDS if isinstance(work, kind.work))


def is_engine_task(graph: TaskGraph, task: Task) -> bool:
    """True if a task needs multipliers."""
    return kind_of(graph, task) is ENGINE


def unit_for(graph: TaskGraph, task: Task, name: str, outputs: int) -> Unit:
    """A unit that can run a task; `outputs` matters to engines only."""
    kind = kind_of(graph, task)
    work = task.operator.work(task, graph)
    products = (
        work.window.positions if isinstance(work, StencilWork) else int(isinstance(work, DepthwiseWork))
    )
    return Unit(name, kind.name, outputs if kind is ENGINE else 0, products=products)


def shared_unit_name(graph: TaskGraph, task: Task) -> str:
    """Name of the unit that a task shares with all tasks that one unit can run: its kind, and the shape of row windows."""
    kind = kind_of(graph, task).name
    work = task.operator.work(task, graph)
    if not isinstance(work, StencilWork | RowPoolWork):
        return kind
    return f"{kind}_{row_window_shape(work.window)}"


def unit_multipliers(unit: Unit, lanes: int) -> int:
    """Multipliers of a unit for products with weights."""
    return (unit.outputs + unit.products) * lanes


def rank(unit: Unit) -> int:
    """Place of a unit's kind in datapath order."""
    return next(index for index, kind in enumerate(KINDS) if kind.name == unit.kind)


def build_hardware(graph: TaskGraph, schedule: Schedule) -> dict[str, Hardware]:
    """Every unit of a schedule, sized for its tasks, in datapath order.

    Raises:
        ScheduleError: a task is on a unit of another kind.
    """
    runs: dict[str, list[Run]] = {unit.name: [] for unit in schedule.units}
    for index, phase in enumerate(schedule.phases):
        paces = _paces(graph, schedule, phase)
        for one in phase.assignments:
            runs[one.unit].append(Run(index, graph.task(one.task), paces[one.task], one.words))
    return {
        unit.name: KINDS[rank(unit)].build(graph, unit, runs[unit.name], schedule.lanes, schedule.weights)
        for unit in schedule.units
    }


def _paces(graph: TaskGraph, schedule: Schedule, phase: Phase) -> dict[str, int]:
    """Cycles over which each task's first operand comes from other units in its phase; 0 if it comes from memory."""
    paces: dict[str, int] = {}
    for task in phase.tasks:
        operands = graph.task(task).inputs
        producer = graph.producers.get(operands[0]) if operands else None
        if producer is None or producer.name not in paces:
            paces[task] = 0
        else:
            paces[task] = max(_trips(graph, schedule, phase, producer), paces[producer.name])
    return paces


def _trips(graph: TaskGraph, schedule: Schedule, phase: Phase, task: Task) -> int:
    """Iterations of the busiest process of a task, window aside."""
    rows = sum(schedule.unit(share.unit).outputs for share in phase.shares(task.name))
    return least_trips(graph, task, schedule.lanes, rows)


def least_trips(graph: TaskGraph, task: Task, lanes: int, rows: int) -> int:
    """The same, if it has engines of so many output channels per pass in all and patches as short as they can be."""
    work = task.operator.work(task, graph)
    words = words_of(graph, task.output, lanes)
    if isinstance(work, PoolWork | DepthwiseWork):
        return words * work.window.positions
    if isinstance(work, TransposeWork):
        return plan_transpose(work, lanes).iterations
    if isinstance(work, MoveWork):
        return plan_move(work, lanes).nest.steps
    if not isinstance(work, MacWork):
        return words
    return work.pixels * -(-work.outputs // rows) * plan_patches(work, lanes).words

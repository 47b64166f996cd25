"""The kinds of units, in datapath order: within a phase, links lead from earlier to later kinds only.

To add one: a Work class (work.py), a kernel header, a file beside this one with the row, the hardware and the UnitKind, its
line in `KINDS`, and its pipeline depth in cost.py.
"""

from __future__ import annotations

from ..schedule.plan import Phase, Schedule, Unit
from ..task_graph import Task, TaskGraph
from .combine_unit import COMBINE
from .depthwise_unit import DEPTHWISE
from .hardware import Hardware
from .mac_unit import ENGINE
from .pool_unit import POOL
from .table_unit import TABLE
from .unit_kind import Run, UnitKind

KINDS: tuple[UnitKind, ...] = (
    ENGINE,
    DEPTHWISE,  # of a separable convolution, expand and depthwise run in one phase; project takes the next engine
    COMBINE,
    TABLE,
    POOL,
)


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
    return Unit(name, kind.name, outputs if kind is ENGINE else 0)


def unit_multipliers(unit: Unit, lanes: int) -> int:
    """Multipliers of a unit for products with weights."""
    return (unit.outputs + KINDS[rank(unit)].multiplies) * lanes


def rank(unit: Unit) -> int:
    """Place of a unit's kind in datapath order."""
    return next(index for index, kind in enumerate(KINDS) if kind.name == unit.kind)


def build_hardware(graph: TaskGraph, schedule: Schedule) -> dict[str, Hardware]:
    """Every unit of a schedule, sized for its tasks, in datapath order.

    Raises:
        ScheduleError: a task is on a unit of another kind.
    """
    hardware: dict[str, Hardware] = {}
    for unit in schedule.units:
        runs = [
            Run(graph.task(assignment.task), _linked(graph, assignment.task, phase), assignment.words)
            for phase in schedule.phases
            for assignment in phase.assignments
            if assignment.unit == unit.name
        ]
        hardware[unit.name] = KINDS[rank(unit)].build(graph, unit, runs, schedule.lanes)
    return hardware


def _linked(graph: TaskGraph, task: str, phase: Phase) -> bool:
    """True if the phase also makes the task's first operand."""
    producer = graph.producers.get(graph.task(task).inputs[0])
    return producer is not None and producer.name in phase.tasks

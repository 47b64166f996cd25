"""What two tasks that take turns on the same multipliers, tile by tile, could win at most over the schedules that are made.

    python tests/benchmarks/interleaving.py [FOLDER] [--boards kv260 pynq-z2] [--models NAME ...] [--json F]

Tasks that take turns on all multipliers keep what is between them in the datapath, as in a dataflow phase, and no multiplier
waits for another task, as in a sequential one. A task that needs all of another's result for its first one (a fully-connected
layer, a computed operand) cannot take turns with it. For every phase of the chosen schedule, cycles by the cost model, this compares

- lanes: of a dataflow phase with tasks that could take turns, its cycles less what they would take: the sum of their trips on all
  engines together, or the trips of the busiest other process of the phase if that is more. Less than 0 counts as 0: the phase would stay.
- fills: of a sequential phase whose task could take turns with that of the sequential phase before, its cycles less the trips of its
  busiest process, as if nothing were filled, drained or started again.

Both are more than could be won: tiles have a filling and a draining of their own, and buffers for what the other task waits for.
The kernels are those of intar_kernels.py; other models are the ONNX models of a folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from intar_kernels import KERNELS, quantised

import intarsia
from intarsia.board import load_board
from intarsia.errors import IntarsiaError
from intarsia.machine.hardware import words_of
from intarsia.machine.units.kinds import is_engine_task, least_trips
from intarsia.machine.wiring import reads_of
from intarsia.schedule.evaluate import Evaluation
from intarsia.schedule.plan import Pattern, Phase
from intarsia.schedule.search import decide
from intarsia.task_graph import Task, TaskGraph
from intarsia.work import MacWork, MoveWork, PoolWork


def in_turns(graph: TaskGraph, phase: Phase, lanes: int, rows: int) -> int:
    """Cycles of a phase's tasks if those of engines take turns on all rows of multipliers; nothing is filled or drained."""
    tasks = [graph.task(name) for name in phase.tasks]
    trips = {task.name: least_trips(graph, task, lanes, rows) for task in tasks}
    engines = {task.name for task in tasks if is_engine_task(graph, task)}
    reads = [words_of(graph, one.tensor, lanes) for one in reads_of(graph, phase.tasks) if not one.view]
    others = [count for name, count in trips.items() if name not in engines]
    return max(sum(trips[name] for name in engines), *others, *reads, 0)


def could_take_turns(graph: TaskGraph, first: Phase, second: Phase) -> bool:
    """True if some product of one phase reads, maybe by way of other tasks, what a product of the other makes bit by bit."""
    products = {name for name in first.tasks if is_engine_task(graph, graph.task(name))}
    partly = set(products)  # tasks whose results come bit by bit with those of products
    for name in (*first.tasks, *second.tasks):
        task = graph.task(name)
        before = {graph.producers[one].name for one in task.inputs[:1] if one in graph.producers}
        if name not in products and before & partly and not needs_all(graph, task):
            if is_engine_task(graph, task):
                return True
            partly.add(name)
        if name in products and first is second and before & partly - {name} and not needs_all(graph, task):
            return True
    return False


def needs_all(graph: TaskGraph, task: Task) -> bool:
    """True if a task needs all of its first operand for its first result, or walks over it in an order of its own."""
    work = task.operator.work(task, graph)
    source = graph.input_tensors(task)[0] if task.inputs else None
    if isinstance(work, MacWork):
        return source is not None and work.window is None and work.in_pixels >= source.pixels
    return isinstance(work, MoveWork) or (isinstance(work, PoolWork) and work.pixels == 1)


def gains(graph: TaskGraph, evaluation: Evaluation) -> dict[str, Any]:
    """Cycles of a schedule, and what taking turns could win of them at most."""
    schedule = evaluation.schedule
    rows = max(sum(unit.outputs for unit in schedule.units), 1)
    lanes = fills = 0
    before: Phase | None = None
    for phase, cost in zip(schedule.phases, evaluation.phases, strict=True):
        sequential = phase.pattern is Pattern.SEQUENTIAL
        if not sequential and could_take_turns(graph, phase, phase):
            lanes += max(cost.cycles - in_turns(graph, phase, schedule.lanes, rows), 0)
        elif sequential and before is not None and could_take_turns(graph, before, phase):
            fills += cost.cycles - max(cost.tasks.values())
        before = phase if sequential else None
    return {
        "kind": schedule.kind,
        "cycles": evaluation.cycles,
        "lanes": lanes,
        "fills": fills,
        "share": round((lanes + fills) / evaluation.cycles, 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where ONNX models are")
    parser.add_argument("--boards", nargs="+", default=["kv260", "pynq-z2"])
    parser.add_argument(
        "--models", nargs="+", help="names of kernels, or of models without .onnx; all otherwise"
    )
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything to this file")
    options = parser.parse_args()
    found: dict[str, Any] = {}

    def wanted(name: str) -> bool:
        return not options.models or name in options.models

    def show(name: str, board: str, graph: TaskGraph, evaluation: Evaluation) -> None:
        result = found[f"{name} on {board}"] = gains(graph, evaluation)
        print(
            f"| {name} | {board} | {result['kind']} | {result['cycles']:,} | {result['lanes']:,} | "
            f"{result['fills']:,} | {result['share']:.1%} |",
            flush=True,
        )

    print(
        "| model | board | schedule | cycles | lanes | fills | at most |\n|---|---|---|---:|---:|---:|---:|"
    )
    for name, kernel in KERNELS.items():
        if wanted(name):
            graph = quantised(kernel)
            show(
                name,
                kernel.board,
                graph,
                decide(graph, load_board(kernel.board), multipliers=kernel.lanes).chosen,
            )
    for path in sorted(options.folder.glob("*.onnx")) if options.folder else ():
        for board in options.boards if wanted(path.stem) else ():
            try:
                design = intarsia.compile(path, board=board, fifo_sizing=False)
            except IntarsiaError as error:
                print(f"{path.stem} on {board}: {error}", file=sys.stderr)
            else:
                show(path.stem, board, design.graph, design.decision.chosen)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

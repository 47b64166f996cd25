"""How the cost of each step grows when a model doubles: in depth, in width, in length of a sequence.

    python tests/benchmarks/growth.py [--kinds depth width length] [--board kv260] [--schedule sequential] [--json F]

For every size the CPU seconds of import with passes, quantisation, scheduling, emission, build and simulation of one sample,
each the best of --repeats; beside them the exponent by which they grew since the size before: 1 is linear, 2 quadratic.
CPU time, of the compiler too, because it does not depend on what else the machine does.
`auto` searches mixed schedules too; their limits are in docs/scheduling.md. Failures are recorded with their text.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import models
import onnx

from intarsia import passes
from intarsia.board import Board, load_board
from intarsia.emit import emit_sources
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.machine.lower import lower
from intarsia.machine.machine import Machine
from intarsia.project.manifest import manifest
from intarsia.quantise import calibrate, quantise
from intarsia.schedule.plan import Schedule
from intarsia.schedule.search import decide
from intarsia.simulation.build import build_sources
from intarsia.task_graph import TaskGraph
from intarsia.verify.csim_runner import CsimRunner

KINDS: dict[str, tuple[tuple[int, ...], Callable[[int], onnx.ModelProto]]] = {
    "depth": ((8, 16, 32, 64, 128), lambda size: models.convolutions(size, 16, 8)),
    "width": ((16, 32, 64, 128), lambda size: models.convolutions(4, size, 8)),
    "length": ((32, 64, 128, 256, 512), lambda size: models.rows(4, size)),
}
STEPS = ("import", "quantise", "schedule", "emit", "build", "simulate")

LAUNCHES = 20
"""One simulation is too short to time."""

Result = dict[str, Any]


def cpu_seconds() -> float:
    """CPU time of this process and of the children that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(model: onnx.ModelProto, board: Board, schedule: str, repeats: int) -> Result:
    """Best CPU seconds of every step, in order; ends at the first that fails."""
    result: Result = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        seconds = []
        for _ in range(repeats):
            start = cpu_seconds()
            value = work()
            seconds.append(cpu_seconds() - start)
        result[step] = round(min(seconds), 5)
        return value

    arrays = {name: values[:, None] for name, values in models.samples(model, 8).items()}
    try:
        imported = import_model(model)
        float_graph = timed("import", lambda: passes.run(import_model(model).graph))
        graph = timed(
            "quantise", lambda: quantise(float_graph, calibrate(imported.model, float_graph, arrays))
        )
        result["tasks"] = len(graph.tasks)
        decision = timed("schedule", lambda: decide(graph, board, schedule))
        machine, sources = timed("emit", lambda: _emit(graph, decision.chosen.schedule))
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            library = timed("build", lambda: _build_anew(sources, Path(cache)))
            about = manifest(machine, graph, board="none", clock_mhz=100.0, files={})
            runner = CsimRunner(about, library, machine.weights)
            one = {key: graph.tensors[key].number.quantise(values[:1, 0]) for key, values in arrays.items()}
            runner.outputs(one)
            timed("simulate", lambda: [runner.outputs(one) for _ in range(LAUNCHES)])
            result["simulate"] /= LAUNCHES
    except IntarsiaError as error:
        result["error"] = str(error)
    return result


def _emit(graph: TaskGraph, schedule: Schedule) -> tuple[Machine, dict[str, str]]:
    machine = lower(graph, schedule, "growth")
    return machine, emit_sources(machine, "growth")


def _build_anew(sources: dict[str, str], cache: Path) -> Path:
    for library in cache.rglob("*.so"):
        library.unlink()
    return build_sources(sources)


def row(kind: str, size: int, found: Result, before: Result) -> str:
    """One line: seconds, and the exponent of growth."""
    cells = []
    for step in STEPS:
        if step not in found:
            cells.append("-")
        elif step in before:
            cells.append(f"{found[step]:.4f} ({log2(found[step] / before[step]):.1f})")
        else:
            cells.append(f"{found[step]:.4f}")
    return f"| {kind} {size} | {found.get('tasks', '')} | {' | '.join(cells)} |"


def main() -> int:
    """Measures every kind of growth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--board", default="kv260")
    parser.add_argument("--schedule", default="sequential")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything measured to this file")
    options = parser.parse_args()
    board = load_board(options.board)
    print(f"| size | tasks | {' | '.join(STEPS)} |")
    print("|---|---:|" + "---:|" * len(STEPS))
    results: Result = {}
    for kind in options.kinds:
        sizes, make = KINDS[kind]
        before: Result = {}
        for size in sizes:
            found = measure(make(size), board, options.schedule, options.repeats)
            results.setdefault(kind, {})[size] = found
            print(row(kind, size, found, before), flush=True)
            if "error" in found:
                print(f"  {kind} {size}: {found['error']}", file=sys.stderr)
            before = found
            if options.json:
                options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

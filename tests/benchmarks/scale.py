"""Models of real size, step by step: seconds and peak memory of each, from ONNX to a verified project.

    python tests/benchmarks/scale.py [MODEL ...] [--board kv260] [--schedule auto] [--samples 8] [--timeout S] [--json F]

Weights are random but seeded (models.py), samples are normal numbers. Every model is compiled in one process and
verified in another, as a user does it, with an empty cache of compiled simulations; what fails is recorded with its text, and
ends that model. Peak memory is that of the process during the step, and, for steps that call the C++ compiler, of the
compiler beside it. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from models import MODELS, samples, weight_count

STEPS = ("import", "quantise", "schedule", "count", "emit", "build", "simulate", "verify")
"""What is measured; `count` is the timed C-simulation, which counts cycles and sizes FIFOs."""

Result = dict[str, Any]


def run_step(name: str, work: Callable[[], Any]) -> Any:
    """Runs one step and prints what it took as a line of JSON; ends the process if it fails."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    start = time.perf_counter()
    try:
        value = work()
        failure = {}
    except Exception as error:  # noqa: BLE001  (of any kind: it is recorded)
        failure = {"error": f"{type(error).__name__}: {error}"}
    taken: Result = {"step": name, "seconds": round(time.perf_counter() - start, 2), "peak_mb": peak_mb()}
    print(json.dumps({**taken, **failure}), flush=True)
    if failure:
        sys.exit(1)
    return value


def peak_mb() -> dict[str, int]:
    """Peak memory of this process since the last reset, and of the largest child so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return {
        "own": own // 1024,
        "child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }


def verify_project(project: Path) -> None:
    """The steps that need nothing but a project, and raw inputs of one sample beside it."""
    from intarsia import verify
    from intarsia.simulation.build import build
    from intarsia.verify.csim_runner import CsimRunner

    with np.load(project.with_suffix(".npz")) as archive:
        one = dict(archive)
    run_step("build", lambda: build(project))
    run_step("simulate", lambda: CsimRunner.of_project(project).trace(one))

    def check() -> None:
        report = verify.run(project, board="none", samples=1)
        if not report.passed:
            raise RuntimeError(f"worlds differ: {report.first_divergence}")

    run_step("verify", check)


def compile_model(name: str, board_name: str, schedule: str, count: int, project: Path) -> None:
    """The steps up to the project, as compiler.py does them; raw inputs of one sample go beside it."""
    model = MODELS[name]()
    import intarsia.compiler as steps
    from intarsia.schedule.search import decide

    arrays = {key: values[:, None] for key, values in samples(model, count).items()}
    board = steps.load_board(board_name)
    print(json.dumps({"nodes": len(model.graph.node), "weights": weight_count(model)}), flush=True)

    def read() -> tuple[Any, Any]:
        imported = steps.import_model(model)
        graph = steps.passes.run(imported.graph)
        return steps.add_moved_tensors(imported.model, graph), graph

    float_model, float_graph = run_step("import", read)
    graph = run_step(
        "quantise",
        lambda: steps.quantise(float_graph, steps.calibrate(float_model, float_graph, arrays)),
    )
    macs = sum(task.operator.macs(task, graph) for task in graph.tasks)
    print(json.dumps({"tasks": len(graph.tasks), "macs": macs}), flush=True)
    decision = run_step("schedule", lambda: decide(graph, board, schedule))
    counted = run_step(
        "count", lambda: steps.count_best(graph, decision.found, steps.identifier(name), board)
    )

    def emit() -> None:
        design = steps.Design(
            graph=graph,
            machine=counted.machine,
            decision=steps.replace(decision, chosen=counted.evaluation),
            board=board,
            clock_mhz=board.clock_mhz,
            float_model=float_model,
            quantised_model=steps.export_qdq(graph),
            samples=arrays,
            preprocess=steps.DEFAULT_PREPROCESS,
            timings=counted.timings,
        )
        design.write(project)

    run_step("emit", emit)
    one = {key: graph.tensors[key].number.quantise(values[:1, 0]) for key, values in arrays.items()}
    np.savez(project.with_suffix(".npz"), **one)


def measure(name: str, options: argparse.Namespace) -> Result:
    """One model in two processes, as a user compiles it and then verifies it: its steps, and how they ended."""
    arguments = [name, "--board", options.board, "--schedule", options.schedule]
    arguments += ["--samples", str(options.samples)]
    result: Result = {"steps": {}}
    output = ""
    with tempfile.TemporaryDirectory() as cache:
        for part in ("compile", "verify"):
            command = [sys.executable, __file__, *arguments, "--part", part, "--project", f"{cache}/project"]
            try:
                done = subprocess.run(
                    command,
                    stdout=subprocess.PIPE,
                    text=True,
                    timeout=options.timeout,
                    check=False,
                    env={**os.environ, "XDG_CACHE_HOME": cache},
                )
                output, ending = output + done.stdout, f"the process ended with {done.returncode}"
                if done.returncode:
                    break
            except subprocess.TimeoutExpired as error:
                said = error.stdout or b""
                output += said.decode() if isinstance(said, bytes) else said
                ending = f"not done within {options.timeout} s"
                break
    for line in filter(None, output.splitlines()):
        found = json.loads(line)
        if "step" in found:
            result["steps"][found.pop("step")] = found
        else:
            result |= found
    left = [step for step in STEPS if step not in result["steps"]]
    if left and not any("error" in step for step in result["steps"].values()):
        result["steps"][left[0]] = {"error": ending}
    result["seconds"] = round(sum(step.get("seconds", 0) for step in result["steps"].values()), 2)
    return result


def row(name: str, result: Result) -> str:
    """One line of the table: seconds and MB of each step."""
    cells = []
    for step in STEPS:
        found = result["steps"].get(step)
        if found is None:
            cells.append("-")
        elif "error" in found:
            cells.append("fails")
        else:
            peak = found["peak_mb"]
            cells.append(f"{found['seconds']:.1f} ({max(peak['own'], peak['child'])})")
    size = f"{result.get('macs', 0) / 1e6:,.0f}"
    return f"| {' | '.join([name, size, str(result.get('tasks', '')), *cells, str(result['seconds'])])} |"


def main() -> int:
    """Measures the models one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; all if not given"
    )
    parser.add_argument("--board", default="kv260")
    parser.add_argument("--schedule", default="auto")
    parser.add_argument("--samples", type=int, default=8, help="calibration samples")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds per model")
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything measured to this file")
    parser.add_argument("--part", choices=("compile", "verify"), help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.models) - set(MODELS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.part == "compile":
        compile_model(options.models[0], options.board, options.schedule, options.samples, options.project)
        return 0
    if options.part == "verify":
        verify_project(options.project)
        return 0
    print(f"| model | million MACs | tasks | {' | '.join(STEPS)} | seconds |")
    print("|---|---:|---:|" + "---:|" * (len(STEPS) + 1))
    results: Result = {}
    for name in options.models or list(MODELS):
        results[name] = measure(name, options)
        print(row(name, results[name]), flush=True)
        for step, found in results[name]["steps"].items():
            if "error" in found:
                print(f"  {name}, {step}: {found['error']}", file=sys.stderr)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

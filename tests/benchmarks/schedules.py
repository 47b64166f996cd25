"""Schedules of real models: cycles of auto, dataflow and sequential by the timed C-simulation, and the lower bound.

    python tests/benchmarks/schedules.py FOLDER [--boards kv260 pynq-z2] [--models NAME ...] [--json F]

Compiles every ONNX model of a folder that intarsia reads, for every board and every kind of schedule. Samples are synthetic,
because cycles do not depend on data. The table of docs/scheduling.md is this script's output.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import intarsia
from intarsia.errors import IntarsiaError

KINDS = ("auto", "dataflow", "sequential")


def measure(model: Path, board: str, kind: str) -> dict[str, Any]:
    """What one compilation gives: the figures, or why there are none."""
    start = time.perf_counter()
    try:
        about = intarsia.compile(model, board=board, schedule=kind).description
    except IntarsiaError as error:
        return {"error": str(error)}
    schedule = about["schedule"]
    return {
        "cycles": schedule["latency_cycles"],
        "model_cycles": schedule["model_cycles"],
        "lower_bound_cycles": schedule["lower_bound_cycles"],
        "utilisation": schedule["utilisation"],
        "kind": schedule["kind"],
        "phases": [phase["pattern"] for phase in schedule["phases"]],
        "counted_by": schedule["counted_by"],
        "seconds": round(time.perf_counter() - start, 1),
    }


def pattern(phases: list[str]) -> str:
    """Runs of phases with the same pattern: 2 dataflow, 7 sequential."""
    runs: list[tuple[str, int]] = []
    for phase in phases:
        if runs and runs[-1][0] == phase:
            runs[-1] = (phase, runs[-1][1] + 1)
        else:
            runs.append((phase, 1))
    return ", ".join(f"{count} {name}" for name, count in runs)


def row(name: str, board: str, found: dict[str, dict[str, Any]]) -> str:
    """One line of the table."""
    auto = found["auto"]
    if "error" in auto:
        return f"| {name} | {board} | {auto['error']} |"
    figures = [f"{found[kind]['cycles']:,}" if "cycles" in found[kind] else "impossible" for kind in KINDS]
    pure = min((found[kind]["cycles"] for kind in KINDS[1:] if "cycles" in found[kind]), default=None)
    gain = "" if pure is None else f"{pure / auto['cycles']:.2f}"
    cells = [name, board, *figures, gain, f"{auto['lower_bound_cycles']:,}", f"{auto['utilisation']:.0%}"]
    return f"| {' | '.join(cells)} | {auto['kind']}: {pattern(auto['phases'])} |"


def command_line(about: str | None) -> tuple[argparse.Namespace, list[Path]]:
    """The options, and the models that they name."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the ONNX models are")
    parser.add_argument("--boards", nargs="+", default=["kv260", "pynq-z2"])
    parser.add_argument(
        "--models", nargs="+", help="names of models, without .onnx; all of the folder otherwise"
    )
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything measured to this file")
    options = parser.parse_args()
    models = [
        path for path in sorted(options.folder.glob("*.onnx")) if path.stem in (options.models or [path.stem])
    ]
    if not models:
        parser.error(f"no such model in {options.folder}")
    return options, models


def main() -> int:
    """Measures all models on all boards."""
    options, models = command_line(__doc__)
    print("| model | board | auto | dataflow | sequential | gain | lower bound | busy | pattern of auto |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---|")
    results: dict[str, dict[str, Any]] = {}
    for model in models:
        for board in options.boards:
            found = {kind: measure(model, board, kind) for kind in KINDS}
            results.setdefault(model.stem, {})[board] = found
            print(row(model.stem, board, found), flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

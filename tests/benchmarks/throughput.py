"""Throughput of real models: cycles per sample with launches of several samples, beside the schedule of least latency.

    python tests/benchmarks/throughput.py FOLDER [--boards kv260 pynq-z2] [--models NAME ...] [--json F]

Compiles ONNX models of a folder for both objectives, and for throughput also with the pure schedules; cycles are those of the
timed C-simulation. Samples are synthetic, because cycles do not depend on data.
"""

import json
import sys
from pathlib import Path
from typing import Any

from schedules import command_line, pattern

import intarsia
from intarsia.errors import IntarsiaError

KINDS = ("auto", "dataflow", "sequential")


def measure(model: Path, board: str, **options: Any) -> dict[str, Any]:
    """What one compilation gives: the figures, or why there are none."""
    try:
        about = intarsia.compile(model, board=board, **options).description
    except IntarsiaError as error:
        return {"error": str(error)}
    schedule = about["schedule"]
    kept = ("kind", "batch", "interval_cycles", "latency_cycles", "lower_bound_cycles", "utilisation")
    return {
        **{key: schedule[key] for key in kept},
        "phases": [phase["pattern"] for phase in schedule["phases"]],
        "samples_per_second": about["clock_mhz"] * 1e6 / schedule["interval_cycles"],
    }


def row(name: str, board: str, latency: dict[str, Any], often: dict[str, dict[str, Any]]) -> str:
    """One line of the table."""
    auto = often["auto"]
    if "error" in auto or "error" in latency:
        return f"| {name} | {board} | {auto.get('error', latency.get('error'))} |"
    found = [often[kind].get("interval_cycles") for kind in KINDS[1:]]
    pure = ["impossible" if cycles is None else f"{cycles:,}" for cycles in found]
    cells = [
        name,
        board,
        f"{latency['interval_cycles']:,}",
        f"{auto['interval_cycles']:,}",
        f"{latency['interval_cycles'] / auto['interval_cycles']:.2f}",
        f"{auto['samples_per_second']:,.0f}",
        str(auto["batch"]),
        *pure,
        f"{auto['lower_bound_cycles']:,}",
        f"{auto['utilisation']:.0%}",
        f"{auto['kind']}: {pattern(auto['phases'])}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measures all models on all boards."""
    options, models = command_line(__doc__)
    print(
        "| model | board | latency | throughput | gain | samples/s | batch | dataflow | sequential | lower bound | busy | pattern |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    results: dict[str, dict[str, Any]] = {}
    for model in models:
        for board in options.boards:
            latency = measure(model, board)
            often = {kind: measure(model, board, schedule=kind, objective="throughput") for kind in KINDS}
            results.setdefault(model.stem, {})[board] = {"latency": latency, **often}
            print(row(model.stem, board, latency, often), flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

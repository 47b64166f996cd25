"""ONNX's own node tests: which pass in the C-simulation at 16 bits, which are refused and why, and which fail.

    python tests/benchmarks/onnx_conformance.py [CASE ...] [--sample N] [--jobs 2] [--json F]

The cases of one node of the operators that intarsia is for (tests/onnx_cases.py), made by the generators in the onnx package. Inputs
that a model computes are inputs, all others constants; weights and activations have 16 bits. Exit code 1 if any fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from onnx_cases import Outcome, node_cases, run

_CASES = {case.name: case for case in node_cases()}


def run_named(name: str) -> Outcome:
    """The case of that name: what processes share."""
    return run(_CASES[name])


def main() -> int:
    """Runs the cases, and prints a table by operator, then every case that did not pass."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="names, or beginnings of names; all if not given"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only N cases, evenly spread over all")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, metavar="F", help="also write all results to this file")
    options = parser.parse_args()
    names = [name for name in _CASES if not options.cases or name.startswith(tuple(options.cases))]
    if options.sample:
        names = names[:: max(1, len(names) // options.sample)][: options.sample]
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        outcomes = list(pool.map(run_named, names))
    print(table(outcomes))
    for one in sorted(outcomes, key=lambda one: (one.result, one.op)):
        if one.result != "passed":
            print(f"{one.result} {one.name}: {one.reason}")
    if options.json:
        counts = Counter(one.result for one in outcomes)
        found = {result: counts[result] for result in ("passed", "refused", "failed")}
        options.json.write_text(
            json.dumps({**found, "cases": [one.as_json() for one in outcomes]}, indent=2) + "\n"
        )
    return int(any(one.result == "failed" for one in outcomes))


def table(outcomes: list[Outcome]) -> str:
    """Cases by operator and result."""
    lines = ["| operator | passed | refused | failed |", "|---|---:|---:|---:|"]
    for op in [*sorted({one.op for one in outcomes}), "all"]:
        counts = Counter(one.result for one in outcomes if op in (one.op, "all"))
        lines.append(f"| {op} | {counts['passed']} | {counts['refused']} | {counts['failed']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""Holds the cost model's rules against what Vitis HLS reported for other designs.

    python tests/benchmarks/cost_rules.py [--json FILE] [--reports DIR]

Cycles: every pipelined loop against depth + II * (trips - 1) - 1, and every function of one loop against loop + 2.
Memories: every array that a complete csynth.xml lists, against the blocks that intarsia would count for its size.
The reports are those of ../shared/data/vitis_reports if it is there, else the sample in tests/vendor_reports.
"""

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from intarsia.machine.resources import bram18, uram
from intarsia.vendor_reports.csynth import read_csynth

HERE = Path(__file__).resolve().parents[1]
WHOLE = HERE.parents[1] / "shared" / "data" / "vitis_reports"
SAMPLE = HERE / "vendor_reports"


def loop_cycles(trips: int, interval: int, depth: int) -> int:
    """The rule for a pipelined loop."""
    return depth + interval * (trips - 1) - 1


def check_cycles(reports: Path) -> dict[str, object]:
    """How far loops and functions are from the rules, in cycles, and how often."""
    with (reports / "loops.csv").open() as file:
        loops = list(csv.DictReader(file))
    with (reports / "functions.csv").open() as file:
        functions = {(row["design"], row["function"]): row for row in csv.DictReader(file)}
    loop_errors: Counter[int] = Counter()
    breaking, floored = [], 0
    by_function = defaultdict(list)
    for row in loops:
        trips, interval, depth, latency = (int(row[k]) for k in ("trip_count", "ii", "depth", "latency"))
        error = latency - loop_cycles(trips, interval, depth)
        loop_errors[error] += 1
        floored += latency == loop_cycles(trips, interval, max(depth, 2))
        if error:
            breaking.append({"trips": trips, "interval": interval, "depth": depth, "latency": latency})
        by_function[row["design"], row["function"]].append(latency)
    function_errors: Counter[int] = Counter()
    for key, latencies in by_function.items():
        if len(latencies) == 1 and key in functions and functions[key]["worst_latency"].isdigit():
            function_errors[int(functions[key]["worst_latency"]) - latencies[0] - 2] += 1
    return {
        "loops": sum(loop_errors.values()),
        "loop_errors": dict(sorted(loop_errors.items())),
        "loops_that_agree_with_depth_at_least_2": floored,
        "loops_of_depth_1": sum(row["depth"] == 1 for row in breaking),
        "breaking": breaking,
        "functions": sum(function_errors.values()),
        "function_errors": dict(sorted(function_errors.items())),
    }


def check_memories(reports: Path) -> list[dict[str, int]]:
    """Blocks of every size of array: as reported, and as intarsia counts them."""
    found: dict[tuple[int, ...], dict[str, int]] = {}
    for path in sorted(reports.rglob("*csynth.xml")):
        report = read_csynth(path)
        for storage in (storage for module in report.modules for storage in module.storages):
            if storage.kind == "fifo" or not storage.width:
                continue
            estimate = (uram if storage.uram else bram18)(storage.width, storage.depth) * storage.copies
            found[storage.width, storage.depth, storage.copies] = {
                "width": storage.width,
                "depth": storage.depth,
                "copies": storage.copies,
                "reported": storage.uram or storage.bram18,
                "estimated": estimate,
                "is_uram": bool(storage.uram),
            }
    return [found[key] for key in sorted(found)]


def main() -> int:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--reports", type=Path, default=WHOLE if WHOLE.exists() else SAMPLE)
    options = parser.parse_args()
    cycles = check_cycles(options.reports)
    memories = check_memories(options.reports)
    print(f"reports in {options.reports}")
    print(f"{cycles['loops']} loops, reported minus rule in cycles: {cycles['loop_errors']}")
    print(
        f"  of those that differ, {cycles['loops_of_depth_1']} have a pipeline of depth 1: counted as 2, "
        f"{cycles['loops_that_agree_with_depth_at_least_2']} loops agree"
    )
    print(f"{cycles['functions']} functions of one loop, reported minus rule: {cycles['function_errors']}")
    for row in memories:
        kind = "URAM" if row["is_uram"] else "BRAM18"
        print(
            f"{row['copies']} x {row['width']} bits x {row['depth']} words: {row['reported']} {kind} reported, "
            f"{row['estimated']} estimated"
        )
    if options.json:
        options.json.write_text(json.dumps({"cycles": cycles, "memories": memories}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The same sweep in one process, in several, and on a local Dask cluster: seconds of each, and whether the results are the same.

    python tests/benchmarks/explore_ways.py MODEL [--samples X.npz] [--input-scale F] [--boards kv260,pynq-z2] [--workers 2] [--json F]

Default axes: 108 points for each board. The cluster runs already when its time begins, as a user's would, but its workers
have not imported anything. Times mean something on a machine with nothing else to do, so the load average before each
run is shown. Needs `distributed`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intarsia.explore.grid import Grid
from intarsia.explore.sweep import explore_model
from intarsia.samples import Preprocess


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """Address of a cluster of worker processes of one thread each."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
    ) as made:
        yield made.scheduler_address


def measured(arguments: argparse.Namespace, directory: Path, **where: Any) -> dict[str, Any]:
    """One sweep into a directory of its own."""
    load = os.getloadavg()[0]
    begin = time.perf_counter()
    sweep = explore_model(
        arguments.model,
        directory,
        Grid(boards=tuple(arguments.boards.split(","))),
        samples=arguments.samples,
        preprocess=Preprocess(arguments.input_scale),
        **where,
    )
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(sweep.cpu_seconds, 1),
        "load_before": round(load, 2),
        "points": len(sweep.points),
        "front": [point.number for point in sweep.front],
    }


def main() -> None:
    """Measures, prints a line for each way, and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--input-scale", type=float, default=1 / 255)
    parser.add_argument("--boards", default="kv260,pynq-z2")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ways = {"one process": measured(arguments, folder / "one", jobs=1)}
        ways[f"{arguments.workers} processes"] = measured(arguments, folder / "many", jobs=arguments.workers)
        with cluster(arguments.workers) as address:
            ways[f"{arguments.workers} Dask workers"] = measured(arguments, folder / "dask", address=address)
        texts = {(folder / name / "points.json").read_bytes() for name in ("one", "many", "dask")}
    alone = ways["one process"]["seconds"]
    for name, found in ways.items():
        print(
            f"{name:16}{found['seconds']:7.1f} s  {found['seconds'] / alone:4.0%} of one process  "
            f"{found['cpu_seconds']:7.1f} s of CPU in jobs  load before {found['load_before']:.2f}"
        )
    print(
        f"{ways['one process']['points']} points; results of all ways {'the same' if len(texts) == 1 else 'DIFFER'}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(ways | {"same": len(texts) == 1}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""The golden's time for all tensors of a model against ONNX Runtime's for the float model, in one process.

    python tests/benchmarks/golden_speed.py [--models resnet8:1 resnet8:100 FILE.onnx:20 ...] [--threads 1] [--json F]

MODEL:SAMPLES, with models of models.py or files. The golden takes all samples at once, ONNX Runtime one after the other, with
and without its graph optimisations, taking turns; the best of --repeats. With one thread CPU time counts, which does not depend
on what else the machine does; with more, wall time.
"""

from __future__ import annotations

import os
import sys

THREADS = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv else 1
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import models
import onnx
import onnxruntime

from intarsia import golden, passes
from intarsia.frontend import import_model
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import QuantiseOptions, calibrate, quantise

DEFAULT = (
    "lenet5:1",
    "lenet5:100",
    "resnet8:1",
    "resnet8:20",
    "resnet8:100",
    "resnet18-small:20",
    "mobilenet_v2-small:20",
    "resnet18:1",
    "mobilenet_v2:1",
    "mobilenet_v2:4",
)
CALIBRATION = 4
LEVELS = onnxruntime.GraphOptimizationLevel


def session(model: onnx.ModelProto, level: Any) -> onnxruntime.InferenceSession:
    """ONNX Runtime with so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def best(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Seconds of each, taking turns."""
    clock = process_time if THREADS == 1 else perf_counter
    seconds = [float("inf")] * len(runs)
    for _ in range(repeats):
        for index, run in enumerate(runs):
            start = clock()
            run()
            seconds[index] = min(seconds[index], clock() - start)
    return seconds


def measure(model: onnx.ModelProto, count: int, repeats: int) -> dict[str, float]:
    """Milliseconds per sample of the golden and of ONNX Runtime."""
    imported = import_model(model)
    graph = passes.run(imported.graph)
    drawn = models.samples(model, count)
    reals = {name: drawn[name] for name in graph.inputs}
    few = {name: values[:CALIBRATION, None] for name, values in reals.items()}
    graph = quantise(
        graph, calibrate(add_moved_tensors(imported.model, graph), graph, few), QuantiseOptions()
    )
    raw = {name: graph.tensors[name].number.quantise(values[:, None]) for name, values in reals.items()}
    sessions = [session(model, level) for level in (LEVELS.ORT_ENABLE_ALL, LEVELS.ORT_DISABLE_ALL)]
    feeds = [{name: values[i : i + 1] for name, values in reals.items()} for i in range(count)]

    def one_by_one(runner: onnxruntime.InferenceSession) -> Callable[[], object]:
        return lambda: [runner.run(None, feed) for feed in feeds]

    runs = [lambda: golden.run(graph, raw), *map(one_by_one, sessions)]
    names = ("golden", "optimised", "not optimised")
    return {name: 1e3 * seconds / count for name, seconds in zip(names, best(runs, repeats), strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=DEFAULT, metavar="MODEL:SAMPLES")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{'model':30} {'golden':>9} {'optimised':>10} {'not':>8}   ms per sample, ratios")
    found = {}
    for case in options.models:
        name, _, count = case.rpartition(":")
        model = models.MODELS[name]() if name in models.MODELS else onnx.load(name)
        ms = found[case] = measure(model, int(count), options.repeats)
        mine, fast, plain = ms.values()
        print(
            f"{Path(name).stem + ':' + count:30} {mine:9.3f} {fast:10.3f} {plain:8.3f}   {mine / fast:.2f} {mine / plain:.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"threads": THREADS, "ms": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""The same models through intarsia, hls4ml and NNgen on one machine, in turns: seconds, memory and errors.

    python tests/benchmarks/against_peers.py [--models lenet5 resnet8] [--repeats 3] [--images 20] [--cache DIR] [--json F]

Installs the peers in environments of their own under the cache folder (about a minute, once). Every run is a process of its
own with empty caches; the tools take turns, so that the speed of the machine, which others may share, changes all alike.
Figures are medians of the runs; look at the ratios. What a peer needs done by hand is done in peers/with_*.py.
A peer that fails is recorded with the end of what it said. JSON: {model: {tool: {"convert_s", "build_s",
"build_cpu_s", "ms_per_image", "cpu_ms_per_image", "peak_mb", "max_error", "error", "by_hand", "modes"}}}; CPU times are of
all threads, and hardly depend on what else the machine does; `max_error` is against ONNX Runtime, `error` a failure, `by_hand`
what was done for the tool. Of a tool with several modes each figure is its best mode's; `modes` has them all, as does
the table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from models import MODELS, samples

PEERS = Path(__file__).parent / "peers"
FIGURES = ("convert_s", "build_s", "build_cpu_s", "ms_per_image", "cpu_ms_per_image", "peak_mb")
PACKAGES = {
    # qonnx writes models of onnx's newest format, which ONNX Runtime does not read yet
    "hls4ml": ("hls4ml", "onnx<1.20", "qonnx", "onnxruntime"),
    "nngen": ("nngen", "onnx", "setuptools"),
}
MODES = {"intarsia": ("auto",), "hls4ml": ("Latency", "Resource"), "nngen": ("default",)}
"""hls4ml's two strategies, with streams; without (io_parallel) it takes five times as long to build LeNet-5, and is no faster."""

Result = dict[str, Any]


def environment(tool: str, cache: Path) -> Path:
    """The Python to run a tool with; installs it where it is missing."""
    if tool == "intarsia":
        return Path(sys.executable)
    folder = cache / tool
    if not (folder / "installed").is_file():
        print(f"installing {tool} in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *PACKAGES[tool]], check=True)
        (folder / "installed").touch()
    return folder / "bin" / "python"


def run(python: Path, tool: str, mode: str, model: Path, inputs: Path, timeout: float) -> Result:
    """One run: its figures, its outputs, or why there are none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [python, PEERS / f"with_{tool}.py", model, inputs, folder, mode]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env={**os.environ, "XDG_CACHE_HOME": name},
            )
            failure = _failure(done)
        except subprocess.TimeoutExpired:
            failure = f"not done within {timeout:g} s"
        figures = folder / "figures.json"
        result: Result = json.loads(figures.read_text()) if figures.is_file() else {}
        if failure:
            return {**result, "error": failure}
        return {**result, "outputs": np.load(folder / "outputs.npy")}


def _failure(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == 0:
        return ""
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return f"{how}: {' | '.join((done.stderr or done.stdout).strip().splitlines()[-3:])[-500:]}"


def summary(runs: list[Result], expected: Any) -> Result:
    """Medians of the runs of one tool and mode, and the largest error of all."""
    result: Result = {
        key: round(statistics.median(values), 3)
        for key in FIGURES
        if (values := [one[key] for one in runs if key in one])
    }
    errors = [
        np.abs(one["outputs"].reshape(expected.shape) - expected).max() for one in runs if "outputs" in one
    ]
    result["max_error"] = float(max(errors)) if errors else None
    result["error"] = next((one["error"] for one in runs if "error" in one), None)
    result["by_hand"] = runs[-1].get("by_hand", [])
    return result


def best(modes: dict[str, Result]) -> Result:
    """Of each figure the best of the modes that ran, with the largest of their errors; of none, the first failure."""
    ran = [found for found in modes.values() if not found["error"]] or list(modes.values())[:1]
    result: Result = {key: min(found[key] for found in ran) for key in FIGURES if key in ran[0]}
    errors = [found["max_error"] for found in ran if found["max_error"] is not None]
    result["max_error"] = max(errors, default=None)
    return {**result, "error": ran[0]["error"], "by_hand": ran[0]["by_hand"], "modes": modes}


def measure(name: str, pythons: dict[str, Path], options: argparse.Namespace) -> Result:
    """All tools on one model, in turns."""
    model = MODELS[name]()
    (images,) = samples(model, options.images).values()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (key,) = (value.name for value in session.get_inputs())
    expected = np.concatenate([session.run(None, {key: image[np.newaxis]})[0] for image in images])
    modes = [(tool, mode) for tool in pythons for mode in MODES[tool]]
    runs: dict[tuple[str, str], list[Result]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory() as folder:
        onnx_file, inputs_file = Path(folder) / f"{name}.onnx", Path(folder) / "inputs.npy"
        onnx.save(model, onnx_file)
        np.save(inputs_file, images)
        for _ in range(options.repeats):
            for tool, mode in modes:
                found = run(pythons[tool], tool, mode, onnx_file, inputs_file, options.timeout)
                runs[tool, mode].append(found)
    result: Result = {"largest_output": float(np.abs(expected).max())}
    for tool in pythons:
        result[tool] = best({mode: summary(runs[tool, mode], expected) for mode in MODES[tool]})
    return result


def table(name: str, result: Result) -> list[str]:
    """A line per tool and mode, and the ratios of the peers' figures to intarsia's."""
    rows = [
        (tool, mode, found)
        for tool in MODES
        if tool in result
        for mode, found in result[tool]["modes"].items()
    ]
    lines = [
        f"| {name} | {tool} {mode} | {_cells(found, {} if tool == 'intarsia' else result['intarsia'])} |"
        for tool, mode, found in rows
    ]
    done = [
        f"  done for {tool}: {text}" for tool in MODES if tool in result for text in result[tool]["by_hand"]
    ]
    return (
        lines + done + [f"  {tool} {mode}: {found['error']}" for tool, mode, found in rows if found["error"]]
    )


def _cells(found: Result, own: Result) -> str:
    cells = [f"{found[key]:,.2f}" if key in found else "-" for key in FIGURES]
    ratios = [f" ({found[key] / own[key]:.1f}x)" if key in found and own.get(key) else "" for key in FIGURES]
    worst = "-" if found["max_error"] is None else f"{found['max_error']:.3g}"
    return " | ".join([*(cell + ratio for cell, ratio in zip(cells, ratios, strict=True)), worst])


def main() -> int:
    """Measures the models one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intarsia" / "peers"
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["lenet5", "resnet8"])
    parser.add_argument("--peers", nargs="*", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--timeout", type=float, default=900, help="seconds per run")
    parser.add_argument("--cache", type=Path, default=cache, help="where the peers' environments are kept")
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything measured to this file")
    options = parser.parse_args()
    pythons = {tool: environment(tool, options.cache.resolve()) for tool in ("intarsia", *options.peers)}
    print(f"| model | tool | {' | '.join(FIGURES)} | max error |")
    print("|---|---|" + "---:|" * (len(FIGURES) + 1))
    results: Result = {}
    for name in options.models:
        results[name] = measure(name, pythons, options)
        print("\n".join(table(name, results[name])), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How many known faults the verifier catches, at the right layer and edge, and how often it is wrong about sound designs.

    python tests/benchmarks/faults.py [--models NAME ...] [--worlds W ...] [--samples N] [--json F] [--list]

Faults are put into the float model, the QDQ model, the golden, the C-simulation and the emulated board of real models.
The models beside the bundled one are read from --data. The table of docs/verification.md is this script's output.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaign import EDGES, Campaign, Outcome

import intarsia
from intarsia.boards.driver.host_part import HostPart
from intarsia.design import HOST_BEFORE
from intarsia.errors import IntarsiaError
from intarsia.host import samples as host_samples
from intarsia.samples import Preprocess
from intarsia.verify.source import batches

SHARED = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """A model with its inputs: arrays that are cut into calibration and samples."""

    model: Path
    images: np.ndarray
    scale: float = 1.0


def cases(data: Path) -> dict[str, Case]:
    """The models that there are."""
    with as_file(files("intarsia.demo")) as demo:
        found = {"demo_lenet5": Case(demo / "lenet5.onnx", np.load(demo / "mnist.npz")["images"], 1 / 255)}
    if not data.is_dir():
        return found
    digits = np.concatenate([np.load(data / f"mnist_{part}.npz")["x"] for part in ("test_500", "train_500")])
    photos = np.load(data / "cifar10_300.npz")
    photos = np.concatenate([photos[part] for part in ("x_train", "x_test_jpg")])
    tokens = np.random.default_rng(0).integers(0, 27, (1000, 16))
    return found | {
        "lenet5_jinsoo": Case(data / "lenet5_jinsoo.onnx", digits, 1 / 255),
        "resnet8_cifar10_mlperf_fp32": Case(data / "resnet8_cifar10_mlperf_fp32.onnx", photos),
        "makemore_gpt2_op14": Case(data / "makemore_gpt2_op14.onnx", tokens),
    }


def measure(case: Case, worlds: Sequence[str], samples: int, folder: Path) -> dict[str, Any]:
    """Every fault in every world of one model, and the false alarms on sound designs."""
    start = time.perf_counter()
    np.savez(folder / "images.npz", x=case.images)
    preprocess = Preprocess(case.scale)
    design = intarsia.compile(
        case.model, board="kv260", calibration=folder / "images.npz", preprocess=preprocess
    )
    inputs = tuple(design.graph.tensors[name] for name in design.graph.inputs)
    before = design.host_before
    host = HostPart(before.SerializeToString(), HOST_BEFORE) if before else None
    loaded, _ = host_samples.load(folder / "images.npz", inputs, host, design.preprocess)
    campaign = Campaign(design, loaded, folder)
    try:
        outcomes = []
        for outcome in campaign.run(tuple(worlds)):
            outcomes.append(outcome)
            show(outcome)
        count = min(samples, loaded.count)
        part = {name: values[:count] for name, values in loaded.arrays.items()}
        sound = campaign.check(campaign.uncached, list(batches(campaign.graph, part, None)))
    finally:
        campaign.close()
    alarms = sum(result.verdict.bad for layer in sound.layers for result in layer.edges.values())
    return {
        **totals(outcomes),
        "false_alarms": alarms + len(sound.divergences),
        "samples": sound.samples + sound.stress,
        "kinds": len({outcome.fault for outcome in outcomes}),
        "seconds": round(time.perf_counter() - start, 1),
        "worlds": {world: totals([o for o in outcomes if o.world == world]) for world in worlds},
        "outcomes": [vars(outcome) for outcome in outcomes],
    }


def totals(outcomes: list[Outcome]) -> dict[str, int]:
    """The counts that are asked for."""
    return {
        "faults": len(outcomes),
        "caught": sum(outcome.caught for outcome in outcomes),
        "right_layer": sum(outcome.right_layer for outcome in outcomes),
        "right_edge": sum(outcome.right_edge for outcome in outcomes),
    }


def show(outcome: Outcome) -> None:
    """One line for a fault that was not found where it is, a dot for the others."""
    if outcome.right_layer and outcome.right_edge:
        print(".", end="", file=sys.stderr, flush=True)
    else:
        print(f"\nNOT RIGHT: {outcome}", file=sys.stderr, flush=True)


def table(results: dict[str, dict[str, Any]]) -> str:
    """The table of the docs."""
    lines = ["| model | world | faults | caught | right layer | right edge |", "|---|---|---|---|---|---|"]
    for name, result in results.items():
        if "error" in result:
            lines.append(f"| {name} | {result['error']} |")
            continue
        for world, found in result["worlds"].items():
            lines.append(f"| {name} | {world} | {' | '.join(str(number) for number in found.values())} |")
        lines.append(
            f"| {name} | sound, {result['samples']:,} samples | | {result['false_alarms']} false alarms | | |"
        )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", help="which of the models")
    parser.add_argument("--worlds", nargs="+", choices=tuple(EDGES), default=list(EDGES))
    parser.add_argument("--samples", type=int, default=1000, help="of the sound designs (1000)")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of models and images")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for name, case in cases(options.data).items():
        if options.models and name not in options.models:
            continue
        print(f"{name} ", end="", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                results[name] = measure(case, options.worlds, options.samples, Path(folder))
            except IntarsiaError as error:
                results[name] = {"error": str(error).splitlines()[0]}
        print(file=sys.stderr)
    print(table(results))
    measured = [result for result in results.values() if "error" not in result]
    keys = ("faults", "caught", "right_layer", "right_edge", "false_alarms", "samples")
    summary: dict[str, Any] = {key: sum(result[key] for result in measured) for key in keys}
    print(json.dumps(summary))
    if options.json:
        options.json.write_text(json.dumps({**summary, "models": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

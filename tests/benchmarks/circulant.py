"""Block-circulant compression: accuracy, multiplications, cycles, and whether the forms are exact.

    python tests/benchmarks/circulant.py [--json F] [--part PART ...] [--data FOLDER] [--seeds N] [--multipliers N]

Parts, all of them by default: multiplications, bit_exact, bandwidth, dsp, gpt2 (minutes), lenet, mlp, cnn (an hour). What is
measured is kept in F at once, and not measured again when the script is started again with the same F. Accuracy needs
PyTorch and the folder of samples: digits_sklearn.npz, mnist_train_5000.npz and mnist_test_500.npz.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from graphs import chain, conv, dense, quantised
from machines import assert_equals_golden, pure_schedule, with_form
from test_circulant_machine import circulant

from intarsia.board import Board, load_board
from intarsia.circulant import exact as circulant_exact
from intarsia.circulant import fft as circulant_fft
from intarsia.circulant.spectral import spectral
from intarsia.compress import Recipe, compress_model
from intarsia.machine.lower import lower
from intarsia.machine.units.engine import EngineHardware
from intarsia.machine.units.kinds import build_hardware
from intarsia.ops.spectral import Spectral
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.plan import Schedule, ScheduleError
from intarsia.schedule.pure import sequential
from intarsia.simulation.timed import TimedSimulation, size_fifos
from intarsia.task_graph import TaskGraph

LENET_RECIPE = Recipe(epochs=60, shift=2)
SIZES = (2, 4, 8, 16, 32)
LENET = {
    "4": {"conv2": 4, "fc1": 4, "fc2": 4},
    "8": {"fc1": 8, "fc2": 8},
    "16": {"fc1": 16, "fc2": 16},
    "8, conv2 4": {"conv2": 4, "fc1": 8, "fc2": 8},
}
PARTS = ("multiplications", "bit_exact", "bandwidth", "dsp", "gpt2", "lenet", "mlp", "cnn")


class Kept:
    """Measurements by name, in a file if there is one: those that are there already are not measured again."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[str, Any] = self.read().get("kept", {})

    def __call__(self, name: str, measure: Callable[[], Any]) -> Any:
        """The measurement of that name."""
        if name not in self.found:
            self.found[name] = measure()
            print(f"{name}: {self.found[name]}", flush=True)
            self.write({})
        return self.found[name]

    def before(self, key: str) -> dict[str, Any]:
        """What earlier runs of other parts found."""
        found: dict[str, Any] = self.read().get(key, {})
        return found

    def read(self) -> dict[str, Any]:
        """The file."""
        return json.loads(self.path.read_text()) if self.path and self.path.exists() else {}

    def write(self, result: dict[str, Any]) -> None:
        """Writes results, over those of earlier runs, and all measurements."""
        if self.path is None:
            return
        before = self.read()
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.write_text(json.dumps(before | result | {"kept": self.found}, indent=2) + "\n")
        temporary.replace(self.path)


def multiplications(rows: int, across: int, taps: int, pixels: int, block: int) -> dict[str, int]:
    """Products for a layer: rows x across blocks, `taps` kernel positions, `pixels` output pixels, stride 1."""
    pairs = pixels * taps * rows * across
    transforms = pixels * (across + rows) * circulant_fft.multiplications(block)
    found = {"direct": pairs * block**2, "fft": pairs * circulant_fft.products(block) + transforms}
    if block <= circulant_exact.LARGEST:
        found["exact"] = pairs * circulant_exact.multiplications(block)
    return found


def all_multiplications() -> dict[str, Any]:
    """Of the issue's layers, by form and size of blocks; `direct` is the dense count."""
    layers = {"fc512": (512, 512, 1, 1), "ffn": (256, 64, 1, 64), "conv3x3_64": (64, 64, 9, 32 * 32)}
    table: dict[str, Any] = {}
    for name, (outputs, inputs, taps, pixels) in layers.items():
        forms: dict[str, dict[str, int]] = {}
        for block in SIZES:
            for form, count in multiplications(
                outputs // block, inputs // block, taps, pixels, block
            ).items():
                forms.setdefault(form, {})[str(block)] = count
        table[name] = forms
    return table


def fully_connected(block: int, sizes: tuple[int, ...], bits: int, rows: int = 1) -> TaskGraph:
    """Layers of sizes[i + 1] x sizes[i] weights, circulant unless `block` is 1, for so many rows of inputs."""
    rng = np.random.default_rng(0)
    plain = [dense(rng, *pair, axis=1 if rows == 1 else 2) for pair in pairwise(sizes)]
    made = [circulant(layer, block, 1) for layer in plain] if block > 1 else plain
    shape = (sizes[0],) if rows == 1 else (rows, sizes[0])
    graph = chain(shape, made, channel_axis=1 if rows == 1 else 2)
    return quantised(graph, QuantiseOptions(bits, bits))


def convolution(block: int, channels: int, side: int, bits: int) -> TaskGraph:
    """One of 3 x 3, from so many channels to as many, on an image that it keeps in size."""
    layer = conv(np.random.default_rng(0), channels, channels, kernel=(3, 3), pads=(1, 1, 1, 1))
    made = circulant(layer, block, 9) if block > 1 else layer
    return quantised(chain((channels, side, side), [made]), QuantiseOptions(bits, bits))


DSP_BOUND: dict[str, Callable[[int], TaskGraph]] = {
    "fc512": lambda block: fully_connected(block, (512, 512), 16),
    "fc512_16_rows": lambda block: fully_connected(block, (512, 512), 16, 16),
    "ffn": lambda block: fully_connected(block, (64, 256), 16, 64),
    "gpt2_up": lambda block: fully_connected(block, (1024, 4096), 16),
    "conv3x3_64": lambda block: convolution(block, 64, 16, 16),
}
"""16-bit layers with their weights on chip, by size of blocks."""

FORMS = {
    "fc512": (("exact", 4), ("exact", 8), ("exact", 16), ("fft", 8), ("fft", 16)),
    **{name: (("exact", 8), ("fft", 8)) for name in DSP_BOUND if name != "fc512"},
}


def counted(graph: TaskGraph, schedule: Schedule, board: Board) -> int:
    """Cycles of a sample, counted by the timed C-simulation with FIFOs that cost none."""
    machine = lower(graph, schedule, "bench")
    simulation = TimedSimulation(machine, board.bytes_per_cycle(board.clock_mhz))
    return sum(timing.cycles for timing in size_fifos(simulation)[1])


def bandwidth_bound(block: int) -> int:
    """Cycles of four layers whose 8-bit weights stream from DRAM, for one row of inputs."""
    graph = fully_connected(block, (512,) * 5, 8)
    schedule = sequential(graph, 16, 128, 2048)
    return counted(graph, with_form(schedule, "direct" if block > 1 else "dense"), load_board("kv260"))


@dataclass(frozen=True)
class Engine:
    """An engine for one layer: its size, multipliers, DSPs, and cycles by the model and by the timed C-simulation."""

    lanes: int
    outputs: int
    multipliers: int
    dsps: int
    model_cycles: int
    cycles: int


def fastest(graph: TaskGraph, form: str, most: int) -> Engine:
    """Of all engines of a form with at most so many multipliers: the best by the model are counted."""
    board = load_board("kv260")
    found = []
    for lanes in (4, 8, 16):
        for outputs in [lanes >> shift for shift in range(1, lanes.bit_length())] + list(
            range(lanes, 1025, lanes)
        ):
            schedule = pure_schedule(graph, "sequential", lanes, outputs)
            schedule = schedule if form == "fft" else with_form(schedule, form)
            try:
                (unit,) = (
                    u for u in build_hardware(graph, schedule).values() if isinstance(u, EngineHardware)
                )
            except ScheduleError:
                continue
            if 3 * most <= 4 * unit.multipliers <= 4 * most:
                found.append((evaluate(graph, schedule, board).cycles, unit.multipliers, schedule, unit))
    best = sorted(found, key=lambda one: one[:2])[:COUNTED]
    engines = [
        Engine(
            schedule.lanes,
            unit.unit.outputs,
            multipliers,
            unit.form.dsps(unit.unit.outputs, schedule.lanes) if unit.form else multipliers,
            cycles,
            counted(graph, schedule, board),
        )
        for cycles, multipliers, schedule, unit in best
    ]
    return min(engines, key=lambda one: (one.cycles, one.multipliers))


COUNTED = 2
"""Engines that are counted of those that the model finds best."""


def engine(layer: str, form: str, block: int, most: int) -> dict[str, int]:
    """The fastest engine for a layer."""
    graph = DSP_BOUND[layer](block)
    return asdict(fastest(spectral(graph)[0] if form == "fft" else graph, form, most))


def dsp_bound(kept: Kept, most: int) -> dict[str, Any]:
    """Dense engines against those of circulant blocks, each the fastest of at most so many multipliers.

    `same_multipliers`: against the fastest dense engine of no more multipliers than the circulant one really has, since
    whole blocks seldom fill the number exactly.
    """
    result: dict[str, Any] = {}
    for layer, forms in FORMS.items():
        plain = kept(f"{layer} dense {most}", lambda layer=layer: engine(layer, "dense", 1, most))
        for form, block in forms:
            name = f"{layer} {form} {block} {most}"
            small = kept(name, lambda layer=layer, form=form, block=block: engine(layer, form, block, most))
            same = small["multipliers"]
            equal = kept(
                f"{layer} dense {same}", lambda layer=layer, same=same: engine(layer, "dense", 1, same)
            )
            result.setdefault(layer, {}).setdefault(form, {})[str(block)] = {
                "same_multipliers": round(equal["cycles"] / small["cycles"], 2),
                "speedup": round(plain["cycles"] / small["cycles"], 2),
                "per_multiplier": round(
                    plain["cycles"] * plain["multipliers"] / (small["cycles"] * small["multipliers"]), 2
                ),
                "per_dsp": round(plain["cycles"] * plain["dsps"] / (small["cycles"] * small["dsps"]), 2),
                "dense": plain,
                "circulant": small,
            }
    return result


def gpt2_medium(blocks: tuple[int, ...]) -> dict[str, Any]:
    """The six matrix products with weights of a GPT-2 medium block, one token, 8 bits: bound by DRAM.

    By the model, not simulated: bytes of weights over the bandwidth, or products over multipliers where that is more.
    """
    board = load_board("kv260")
    width, multipliers = 1024, 2048
    sizes = [(width, width)] * 4 + [(4 * width, width), (width, 4 * width)]
    weights = sum(outputs * inputs for outputs, inputs in sizes)
    rate = min(16.0, board.bytes_per_cycle(board.clock_mhz))

    def cycles(block: int) -> float:
        return sum(max(o * i / block / rate, o * i / multipliers) for o, i in sizes)

    return {
        "counted_by": "model",
        "weights": weights,
        "cycles": {str(block): round(cycles(block)) for block in (1, *blocks)},
        "speedup": {str(block): round(cycles(1) / cycles(block), 2) for block in blocks},
    }


def bit_exact() -> bool:
    """All forms in the C-simulation, against their goldens: FC, and convolution with stride and pads."""
    rng = np.random.default_rng(0)
    layers = [
        circulant(conv(rng, 16, 24, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 1, 1)), 8, 9),
        circulant(dense(rng, 24 * 30, 18), 8, 30),
        circulant(dense(rng, 18, 17), 8, 1),
    ]
    graph = quantised(chain((16, 9, 7), layers))
    for form in ("direct", "exact", "exact/4", "exact/2"):
        assert_equals_golden(graph, with_form(pure_schedule(graph, "dataflow", 16, 16), form))
    rounded, _ = spectral(graph)
    assert any(isinstance(task.operator, Spectral) for task in rounded.tasks)
    assert_equals_golden(rounded, pure_schedule(rounded, "dataflow", 16, 16))
    return True


def lenet(kept: Kept, data: Path, seeds: int) -> dict[str, list[float]]:
    """LeNet-5 on MNIST: 5,000 images to train on, 500 to measure on; accuracies in percent, one per seed.

    How the recipe was chosen: docs/compression.md.
    """
    train, test = data / "mnist_train_5000.npz", data / "mnist_test_500.npz"

    def one(layers: dict[str, int], seed: int) -> dict[str, float]:
        recipe = replace(LENET_RECIPE, seed=seed)
        with as_file(files("intarsia.demo") / "lenet5.onnx") as model:
            made = compress_model(model, 8, layers=dict(layers), training=train, test=test, recipe=recipe)
        assert made.measure is not None
        accuracies = 100 * (made.measure.accuracy or 0), 100 * (made.measure.dense_accuracy or 0)
        return {"circulant": accuracies[0], "dense": accuracies[1], "ratio": made.ratio}

    result: dict[str, list[float]] = {}
    for name, layers in LENET.items():
        for seed in range(seeds):
            found = kept(f"lenet {name} {seed}", lambda layers=layers, seed=seed: one(layers, seed))
            result.setdefault(name, []).append(found["circulant"])
            result["dense"] = [found["dense"]]
        print(f"LeNet K={name}: {shown(result[name])} (dense {shown(result['dense'])})", flush=True)
    return result


def shown(values: list[float]) -> str:
    """Mean and range."""
    return f"{np.mean(values):.2f} % ({min(values):.1f} to {max(values):.1f})"


def digits(kept: Kept, data: Path, seeds: int, kind: str) -> dict[str, list[float]]:
    """An MLP or a CNN on 8 x 8 digits: trained dense, then compressed; accuracies in percent, one per seed."""
    result: dict[str, list[float]] = {}
    for seed in range(seeds):
        found = kept(f"{kind} {seed}", lambda seed=seed: digits_of_seed(data, seed, kind))
        for name, accuracy in found.items():
            result.setdefault(name, []).append(accuracy)
    print(f"{kind} on digits: { {name: shown(values) for name, values in result.items()} }", flush=True)
    return result


def digits_of_seed(data: Path, seed: int, kind: str) -> dict[str, float]:
    """Accuracies of the dense network and of those with blocks of 4, 8 and 16."""
    import torch
    from torch import nn

    with np.load(data / "digits_sklearn.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    x = next(a for a in arrays.values() if a.ndim > 1).reshape(-1, 1, 8, 8).astype(np.float32)
    y = next(a for a in arrays.values() if a.ndim == 1).astype(np.int64)
    x = x / x.max()
    accuracies: dict[str, float] = {}
    order = np.random.default_rng(seed).permutation(len(x))
    chosen, rest = order[500:], order[:500]
    torch.manual_seed(seed)
    if kind == "mlp":
        body = [
            nn.Flatten(),
            nn.Linear(64, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        ]
    else:
        body = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
        body += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 16, 128), nn.ReLU(), nn.Linear(128, 10)]
    network = nn.Sequential(*body)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(40 if kind == "mlp" else 15):
        for index in torch.randperm(len(chosen)).split(64):
            batch = chosen[index.numpy()]
            loss = nn.functional.cross_entropy(
                network(torch.from_numpy(x[batch])), torch.from_numpy(y[batch])
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        np.savez(path / "train.npz", x=x[chosen], y=y[chosen])
        np.savez(path / "test.npz", x=x[rest], y=y[rest])
        torch.onnx.export(network.eval(), (torch.zeros(1, 1, 8, 8),), str(path / "m.onnx"), dynamo=False)
        for block in (4, 8, 16):
            recipe = Recipe(epochs=40 if kind == "mlp" else 15, seed=seed)
            options = {"training": path / "train.npz", "test": path / "test.npz", "recipe": recipe}
            made = compress_model(path / "m.onnx", block, **options).measure
            assert made is not None
            accuracies |= {"dense": 100 * (made.dense_accuracy or 0), str(block): 100 * (made.accuracy or 0)}
    return accuracies


def speedups(kept: Kept, parts: Sequence[str], most: int) -> dict[str, Any]:
    """Of the parts about cycles."""
    speedup: dict[str, Any] = {"counted_by": "timed C-simulation"}
    if "bandwidth" in parts:
        cycles = {k: kept(f"bandwidth {k}", lambda k=k: bandwidth_bound(k)) for k in (1, 2, 4, 8)}
        speedup["bandwidth_bound_direct"] = {str(k): round(cycles[1] / cycles[k], 2) for k in (2, 4, 8)}
    if "dsp" in parts:
        layers = dsp_bound(kept, most)
        speedup["dsp_bound_layers"] = layers
        speedup["dsp_bound"] = {
            form: {block: found["same_multipliers"] for block, found in blocks.items()}
            for form, blocks in layers["fc512"].items()
        }
    if "gpt2" in parts:
        speedup["gpt2_medium_block"] = gpt2_medium((2, 4, 8))
    return speedup


def main() -> None:
    """Print everything, and write it as JSON."""
    parser = argparse.ArgumentParser(description="Block-circulant compression.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS, help="one part; may be given again")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--multipliers", type=int, default=256, help="of the engines that are compared")
    arguments = parser.parse_args()
    parts, kept = arguments.part or PARTS, Kept(arguments.json)
    result: dict[str, Any] = {}
    if "multiplications" in parts:
        result["multiplications"] = all_multiplications()
    if "bit_exact" in parts:
        result["bit_exact"] = kept("bit_exact", bit_exact)
    if {"bandwidth", "dsp", "gpt2"} & set(parts):
        result["speedup"] = kept.before("speedup") | speedups(kept, parts, arguments.multipliers)
    accuracy: dict[str, dict[str, list[float]]] = {}
    if "lenet" in parts:
        accuracy["lenet"] = lenet(kept, arguments.data, arguments.seeds)
    for kind in ("mlp", "cnn"):
        if kind in parts:
            accuracy[kind] = digits(kept, arguments.data, arguments.seeds, kind)
    if accuracy:
        means = {
            model: {name: round(float(np.mean(values)), 2) for name, values in found.items()}
            for model, found in accuracy.items()
        }
        result["accuracy"] = kept.before("accuracy") | means
        result["accuracy_of_seeds"] = kept.before("accuracy_of_seeds") | accuracy
    kept.write(result)
    print(json.dumps(result, indent=1), flush=True)


if __name__ == "__main__":
    main()

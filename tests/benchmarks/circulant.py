"""Block-circulant compression: accuracy, multiplications, cycles, and whether the forms are exact.

    python tests/benchmarks/circulant.py [--json F] [--data FOLDER] [--seeds N] [--skip-accuracy] [--skip-cycles]

Accuracy needs PyTorch and the folder of samples: digits_sklearn.npz, mnist_train_5000.npz and mnist_test_500.npz.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from graphs import chain, conv, dense, quantised
from machines import assert_equals_golden, pure_schedule
from test_circulant_machine import circulant

from intarsia import circulant_exact, circulant_fft
from intarsia.board import Board, load_board
from intarsia.compress import Recipe, compress_model
from intarsia.machine.circulant_form import allowed_forms
from intarsia.machine.lower import lower
from intarsia.machine.mac_unit import MacHardware
from intarsia.machine.unit_kinds import build_hardware
from intarsia.ops.spectral import SPECTRAL
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.evaluate import dram_words_per_cycle
from intarsia.schedule.plan import Schedule, ScheduleError
from intarsia.schedule.pure import sequential
from intarsia.simulation.timed import TimedSimulation, size_fifos
from intarsia.spectral import spectral
from intarsia.task_graph import TaskGraph

LENET_RECIPE = Recipe(epochs=60, shift=2)
SIZES = (2, 4, 8, 16, 32)
LENET = {4: {"conv2": 4, "fc1": 4, "fc2": 4}, 8: {"fc1": 8, "fc2": 8}, 16: {"fc1": 16, "fc2": 16}}


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


def fully_connected(block: int, size: int, layers: int, bits: int, rows: int = 1) -> TaskGraph:
    """Layers of size x size weights, circulant unless `block` is 1, for so many rows of inputs."""
    rng = np.random.default_rng(0)
    plain = [dense(rng, size, size, axis=1 if rows == 1 else 2) for _ in range(layers)]
    made = [circulant(layer, block, 1) for layer in plain] if block > 1 else plain
    graph = chain((size,), made) if rows == 1 else chain((rows, size), made, channel_axis=2)
    return quantised(graph, QuantiseOptions(bits, bits))


def counted(graph: TaskGraph, schedule: Schedule, board: Board) -> int:
    """Cycles of a sample, counted by the timed C-simulation with FIFOs that cost none."""
    machine = lower(graph, schedule, "bench")
    simulation = TimedSimulation(machine, dram_words_per_cycle(board, machine.weight_bytes))
    return sum(size_fifos(simulation)[1])


def bandwidth_bound(blocks: tuple[int, ...]) -> dict[str, float]:
    """Cycles, dense over circulant, of layers whose weights stream from DRAM for one row of inputs each."""
    board = load_board("kv260")
    cycles = {}
    with allowed_forms("direct", "dense"):
        for block in (1, *blocks):
            graph = fully_connected(block, 512, 4, 8)
            cycles[block] = counted(graph, sequential(graph, 16, 128, 2048), board)
    return {str(block): round(cycles[1] / cycles[block], 2) for block in blocks}


@dataclass(frozen=True)
class Engine:
    """An engine for one layer: its size, multipliers, DSPs, and counted cycles."""

    lanes: int
    outputs: int
    multipliers: int
    dsps: int
    cycles: int


def engine(graph: TaskGraph, lanes: int, outputs: int, board: Board, most: int) -> Engine | None:
    """The engine, if it has no more multipliers than `most` and can be built."""
    schedule = pure_schedule(graph, "sequential", lanes, outputs)
    try:
        (unit,) = (u for u in build_hardware(graph, schedule).values() if isinstance(u, MacHardware))
        if unit.multipliers > most:
            return None
        dsps = unit.resources(lanes, 16).dsp
        return Engine(lanes, outputs, unit.multipliers, dsps, counted(graph, schedule, board))
    except ScheduleError:
        return None


def fastest(graph: TaskGraph, board: Board, most: int) -> Engine:
    """Of all engines that use at least 3/4 of so many multipliers."""
    found = []
    for lanes in (4, 8, 16):
        choices = sorted(
            {lanes >> shift for shift in range(lanes.bit_length())} | set(range(lanes, 513, lanes))
        )
        possible = [engine_size(graph, lanes, outputs, most) for outputs in choices]
        made = [engine(graph, lanes, o, board, most) for o in possible if o]
        found += [one for one in made if one is not None]
    return min(found, key=lambda one: (one.cycles, one.multipliers))


def engine_size(graph: TaskGraph, lanes: int, outputs: int, most: int) -> int:
    """The outputs themselves where the engine would have 3/4 to all of the multipliers; else 0."""
    try:
        hardware = build_hardware(graph, pure_schedule(graph, "sequential", lanes, outputs)).values()
    except ScheduleError:
        return 0
    count = sum(u.multipliers for u in hardware if isinstance(u, MacHardware))
    return outputs if 3 * most <= 4 * count <= 4 * most else 0


def dsp_bound(form: str, block: int, rows: int, most: int) -> dict[str, Any]:
    """16-bit FC 512 x 512 for so many rows, weights on chip: a dense engine against one of circulant blocks.

    Both are the fastest of all sizes within `most` multipliers.
    """
    board = load_board("kv260")
    plain = fastest(fully_connected(1, 512, 1, 16, rows), board, most)
    graph = fully_connected(block, 512, 1, 16, rows)
    if form == "fft":
        graph = spectral(graph)[0]
        small = fastest(graph, board, most)
    else:
        with allowed_forms(form):
            small = fastest(graph, board, most)
    return {
        "speedup": round(plain.cycles / small.cycles, 2),
        "per_multiplier": round(plain.cycles * plain.multipliers / (small.cycles * small.multipliers), 2),
        "dense": asdict(plain),
        "circulant": asdict(small),
    }


def gpt2_medium(blocks: tuple[int, ...]) -> dict[str, Any]:
    """The six matrix products with weights of a GPT-2 medium block, one token, 8 bits: bound by DRAM.

    By the model, not simulated: bytes of weights over the bandwidth, or products over multipliers where that is more.
    """
    board = load_board("kv260")
    width, multipliers = 1024, 2048
    sizes = [(width, width)] * 4 + [(4 * width, width), (width, 4 * width)]
    weights = sum(outputs * inputs for outputs, inputs in sizes)
    rate = dram_words_per_cycle(board, 16) * 16

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
        circulant(conv(rng, 16, 20, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 1, 1)), 8, 9),
        circulant(dense(rng, 20 * 30, 18), 8, 30),
    ]
    graph = quantised(chain((16, 9, 7), layers))
    for form in ("direct", "exact"):
        with allowed_forms(form):
            assert_equals_golden(graph, pure_schedule(graph, "dataflow", 16, 16))
    rounded, _ = spectral(graph)
    assert any(isinstance(task.operator, SPECTRAL) for task in rounded.tasks)
    assert_equals_golden(rounded, pure_schedule(rounded, "dataflow", 16, 16))
    return True


def lenet(data: Path, seeds: int) -> dict[str, list[float]]:
    """LeNet-5 on MNIST: 5,000 images to train on, 500 to measure on; accuracies in percent, one per seed.

    How the recipe was chosen: docs/compression.md.
    """
    train, test = data / "mnist_train_5000.npz", data / "mnist_test_500.npz"
    result: dict[str, list[float]] = {}
    with as_file(files("intarsia.demo") / "lenet5.onnx") as model:
        for name, layers in [
            *((str(k), v) for k, v in LENET.items()),
            ("8, conv2 4", {"conv2": 4, **LENET[8]}),
        ]:
            for seed in range(seeds):
                recipe = replace(LENET_RECIPE, seed=seed)
                made = compress_model(model, 8, layers=dict(layers), training=train, test=test, recipe=recipe)
                assert made.measure is not None
                result.setdefault(name, []).append(100 * (made.measure.accuracy or 0))
            result["dense"] = [100 * (made.measure.dense_accuracy or 0)]
            print(
                f"LeNet K={name}: {shown(result[name])} (dense {shown(result['dense'])}), ratio {made.ratio:.2f}",
                flush=True,
            )
    return result


def shown(values: list[float]) -> str:
    """Mean and range."""
    return f"{np.mean(values):.2f} % ({min(values):.1f} to {max(values):.1f})"


def digits(data: Path, seeds: int, kind: str) -> dict[str, list[float]]:
    """An MLP or a CNN on 8 x 8 digits: trained dense, then compressed; accuracies in percent, one per seed."""
    import torch
    from torch import nn

    with np.load(data / "digits_sklearn.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    x = next(a for a in arrays.values() if a.ndim > 1).reshape(-1, 1, 8, 8).astype(np.float32)
    y = next(a for a in arrays.values() if a.ndim == 1).astype(np.int64)
    x = x / x.max()
    accuracies: dict[str, list[float]] = {}
    for seed in range(seeds):
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
                accuracies.setdefault("dense", [])
                accuracies.setdefault(str(block), []).append(100 * (made.accuracy or 0))
            accuracies["dense"].append(100 * (made.dense_accuracy or 0))
    print(f"{kind} on digits: { {name: shown(values) for name, values in accuracies.items()} }", flush=True)
    return accuracies


def by_form(found: dict[tuple[str, int], Any]) -> dict[str, dict[str, Any]]:
    """{form: {K: value}}."""
    table: dict[str, dict[str, Any]] = {}
    for (form, block), value in found.items():
        table.setdefault(form, {})[str(block)] = value
    return table


def main() -> None:
    """Print everything, and write it as JSON."""
    parser = argparse.ArgumentParser(description="Block-circulant compression.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--multipliers", type=int, default=256, help="of the engines that are compared")
    parser.add_argument("--skip-accuracy", action="store_true")
    parser.add_argument("--skip-cycles", action="store_true")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"accuracy": {}, "multiplications": all_multiplications()}
    if not arguments.skip_cycles:
        runs = {
            (form, block): dsp_bound(form, block, 1, arguments.multipliers)
            for form, blocks in (("exact", (4, 8, 16)), ("fft", (8, 16)))
            for block in blocks
        }
        many = {form: dsp_bound(form, 8, 16, arguments.multipliers) for form in ("exact", "fft")}
        result |= {
            "speedup": {
                "counted_by": "timed C-simulation",
                "bandwidth_bound_direct": bandwidth_bound((2, 4, 8)),
                "dsp_bound": by_form({key: found["speedup"] for key, found in runs.items()}),
                "dsp_bound_per_multiplier": by_form(
                    {k: found["per_multiplier"] for k, found in runs.items()}
                ),
                "dsp_bound_engines": by_form(runs),
                "dsp_bound_16_rows": many,
                "gpt2_medium_block": gpt2_medium((2, 4, 8)),
            },
            "bit_exact": bit_exact(),
        }
        print(json.dumps({key: result[key] for key in ("speedup", "bit_exact")}, indent=1), flush=True)
    if not arguments.skip_accuracy:
        seeds = arguments.seeds
        every = {
            "lenet": lenet(arguments.data, seeds),
            "mlp": digits(arguments.data, seeds, "mlp"),
            "cnn": digits(arguments.data, seeds, "cnn"),
        }
        result["accuracy"] = {
            model: {name: round(float(np.mean(values)), 2) for name, values in found.items()}
            for model, found in every.items()
        }
        result["accuracy_of_seeds"] = every
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Block-circulant compression: accuracy, multiplications, cycles, and whether the forms are exact.

    python tests/benchmarks/circulant.py [--json F] [--data FOLDER] [--seeds N] [--skip-accuracy]

Accuracy needs PyTorch and the folder of samples: digits_sklearn.npz, mnist_train_5000.npz and mnist_test_500.npz.
"""

import argparse
import json
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from graphs import chain, conv, dense, quantised
from machines import assert_equals_golden, pure_schedule
from test_circulant_machine import circulant

from intarsia import circulant_exact, circulant_fft
from intarsia.board import load_board
from intarsia.compress import Recipe, compress_model
from intarsia.machine.circulant_form import allowed_forms
from intarsia.machine.mac_unit import MacHardware
from intarsia.machine.unit_kinds import build_hardware
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.pure import sequential
from intarsia.task_graph import TaskGraph

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


def fully_connected(block: int, size: int, layers: int, bits: int) -> TaskGraph:
    """Layers of size x size weights, circulant unless `block` is 1."""
    rng = np.random.default_rng(0)
    plain = [dense(rng, size, size) for _ in range(layers)]
    made = [circulant(layer, block, 1) for layer in plain] if block > 1 else plain
    return quantised(chain((size,), made), QuantiseOptions(bits, bits))


def bandwidth_bound(blocks: tuple[int, ...]) -> dict[str, float]:
    """Cycles, dense over circulant, of layers whose weights stream from DRAM for one row of inputs each."""
    board = load_board("kv260")
    with allowed_forms("direct"):
        cycles = {
            block: evaluate(
                fully_connected(block, 512, 4, 8),
                sequential(fully_connected(block, 512, 4, 8), 16, 128, 2048),
                board,
            ).cycles
            for block in (1, *blocks)
        }
    return {str(block): round(cycles[1] / cycles[block], 2) for block in blocks}


def dsp_bound(block: int) -> dict[str, Any]:
    """16-bit FC 512 x 512, weights on chip: cycles of a dense engine over those of an exact one of as many multipliers."""
    board = load_board("kv260")
    plain, small = fully_connected(1, 512, 1, 16), fully_connected(block, 512, 1, 16)
    dense_cycles, dense_count = timed(plain, 16, 16, board)
    best = (0.0, 0, 0)
    for outputs in (16, 32, 48, 64, 80, 96, 128):
        cycles, count = timed(small, 16, outputs, board)
        if count <= dense_count:
            best = max(best, (dense_cycles / cycles, outputs, count))
    return {"speedup": round(best[0], 2), "dense_multipliers": dense_count, "multipliers": best[2]}


def timed(graph: TaskGraph, lanes: int, outputs: int, board: Any) -> tuple[int, int]:
    """Cycles by the cost model, and multipliers."""
    schedule = pure_schedule(graph, "sequential", lanes, outputs)
    units = build_hardware(graph, schedule).values()
    return evaluate(graph, schedule, board).cycles, sum(
        u.multipliers for u in units if isinstance(u, MacHardware)
    )


def bit_exact() -> bool:
    """Direct and exact forms in the C-simulation, against the dense golden: FC, and convolution with stride and pads."""
    rng = np.random.default_rng(0)
    layers = [
        circulant(conv(rng, 16, 20, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 1, 1)), 8, 9),
        circulant(dense(rng, 20 * 30, 18), 8, 30),
    ]
    graph = quantised(chain((16, 9, 7), layers))
    for form in ("direct", "exact"):
        with allowed_forms(form):
            assert_equals_golden(graph, pure_schedule(graph, "dataflow", 16, 16))
    return True


def lenet(data: Path, seeds: int) -> dict[str, Any]:
    """LeNet-5 on MNIST: 5,000 images to train on, 500 to measure on, means over the seeds."""
    train, test = data / "mnist_train_5000.npz", data / "mnist_test_500.npz"
    result: dict[str, Any] = {}
    with as_file(files("intarsia.demo") / "lenet5.onnx") as model:
        for name, layers in [
            *((str(k), v) for k, v in LENET.items()),
            ("8, conv2 4", {"conv2": 4, **LENET[8]}),
        ]:
            found = []
            for seed in range(seeds):
                recipe = Recipe(epochs=60, seed=seed, shift=3)
                made = compress_model(model, 8, layers=dict(layers), training=train, test=test, recipe=recipe)
                assert made.measure is not None
                found.append(made.measure)
            result["dense"] = 100 * (found[0].dense_accuracy or 0)
            result[name] = round(float(np.mean([100 * (m.accuracy or 0) for m in found])), 2)
            print(f"LeNet K={name}: {result[name]} % (dense {result['dense']:.2f} %), ratio {made.ratio:.2f}")
    return result


def digits(data: Path, seeds: int, kind: str) -> dict[str, Any]:
    """An MLP or a CNN on 8 x 8 digits: trained dense, then compressed; means over the seeds."""
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
    result = {name: round(float(np.mean(values)), 2) for name, values in accuracies.items()}
    print(f"{kind} on digits: {result}")
    return result


def main() -> None:
    """Print everything, and write it as JSON."""
    parser = argparse.ArgumentParser(description="Block-circulant compression.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--skip-accuracy", action="store_true")
    arguments = parser.parse_args()
    exact = {str(block): dsp_bound(block) for block in (4, 8, 16)}
    result: dict[str, Any] = {
        "accuracy": {},
        "multiplications": all_multiplications(),
        "speedup": {
            "bandwidth_bound_direct": bandwidth_bound((2, 4, 8)),
            "dsp_bound": {"exact": {block: found["speedup"] for block, found in exact.items()}},
            "dsp_bound_multipliers": exact,
        },
        "bit_exact": bit_exact(),
    }
    print(json.dumps({key: value for key, value in result.items() if key != "accuracy"}, indent=1))
    if not arguments.skip_accuracy:
        result["accuracy"] = {
            "mlp": digits(arguments.data, arguments.seeds, "mlp"),
            "cnn": digits(arguments.data, arguments.seeds, "cnn"),
            "lenet": lenet(arguments.data, arguments.seeds),
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Circulant weights as an axis of the design space: one compression for each size of blocks, shared by all its points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import make_model, node, random
from typer.testing import CliRunner

from intarsia import compile, golden
from intarsia.__main__ import app
from intarsia.errors import IntarsiaError
from intarsia.explore import circulant
from intarsia.explore.chosen import compile_options
from intarsia.explore.circulant import Training
from intarsia.explore.grid import Grid
from intarsia.explore.sweep import Sweep, explore_model

GRID = Grid(
    boards=("pynq-z2",), bits=((8, 8),), circulant=(1, 4, 64), lanes=(8,), schedules=("mixed", "sequential"), budgets=(100.0,)
)  # fmt: skip


@pytest.fixture(scope="module")
def found(lenet_model: Path, lenet_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep without training; not to be changed."""
    return explore_model(lenet_model, tmp_path_factory.mktemp("sweep"), GRID, samples=lenet_images)


def points_of(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "points.json").read_text())
    return content


def test_every_size_is_a_model_of_its_own(found: Sweep) -> None:
    by_size = {size: [p for p in found.points if p.choice.numeric.circulant == size] for size in (1, 4, 64)}
    assert all(p.reason and "no layer can be circulant with --block 64" in p.reason for p in by_size[64])
    assert len(list(found.directory.glob("circulant-*.onnx"))) == 1
    for dense, blocks in zip(by_size[1], by_size[4], strict=True):
        assert dense.quality and blocks.quality and dense.cost and blocks.cost
        assert dense.quality.float_accuracy == blocks.quality.float_accuracy  # of the user's own model
        assert blocks.quality.accuracy is not None and dense.quality.accuracy is not None
        assert blocks.quality.accuracy < dense.quality.accuracy  # not trained
    assert any(note.startswith("NOT TUNED") for note in found.notes)
    for row in points_of(found.directory)["points"]:
        assert ("circulant in blocks of 4, projected" in row["explanation"]) == (row["circulant"] == 4)


def test_fewer_weights_take_less_memory(tmp_path: Path) -> None:
    """Three layers of 64 x 64, a pipeline of engines: each has weights of its own."""
    names = ("w1", "w2", "w3")
    weights = {name: random(64, 64, seed=seed) for seed, name in enumerate(names)}
    layers = [
        node("MatMul", [before, name], after)
        for before, name, after in zip(("x", "a", "b"), names, ("a", "b", "y"), strict=True)
    ]
    onnx.save(make_model(layers, (1, 64), weights), tmp_path / "mlp.onnx")
    grid = Grid(
        boards=("pynq-z2",), bits=((8, 8),), circulant=(1, 8), lanes=(8,), schedules=("dataflow",), budgets=(100.0,)
    )  # fmt: skip
    dense, blocks = (p.cost for p in explore_model(tmp_path / "mlp.onnx", tmp_path / "sweep", grid).points)
    assert dense and blocks
    assert (blocks.bram18, blocks.dsp) < (dense.bram18, dense.dsp)


def test_a_circulant_point_compiles_to_what_it_promised(
    found: Sweep, lenet_model: Path, lenet_images: Path
) -> None:
    point = next(p for p in found.points if p.choice.numeric.circulant == 4 and p.choice.schedule == "mixed")
    options = compile_options(f"{found.directory}#{point.number}")
    assert options["dense"] == lenet_model.absolute()
    design = compile(**options, fifo_sizing=False)
    assert point.cost is not None and point.quality is not None
    assert design.decision.chosen.cycles == point.cost.cycles
    assert design.decision.chosen.resources.bram18 == point.cost.bram18
    tensor = design.graph.tensors[design.graph.inputs[0]]
    with np.load(lenet_images) as file:
        images, labels = file["images"], file["labels"]
    raw = tensor.number.quantise(images.reshape(-1, *tensor.shape).astype(np.float32) / np.float32(255))
    scores = golden.run(design.graph, {tensor.name: raw})[design.graph.outputs[0]]
    assert point.quality.accuracy == (scores.reshape(len(labels), -1).argmax(axis=1) == labels).mean()
    next(found.directory.glob("circulant-*.onnx")).rename(found.directory / "away")
    with pytest.raises(IntarsiaError, match=r"circulant model of .* has gone"):
        compile_options(f"{found.directory}#{point.number}")
    (found.directory / "away").rename(options["model"])


def test_a_model_is_compressed_once(
    lenet_model: Path, lenet_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = Grid(boards=("pynq-z2",), bits=((8, 8),), lanes=(8,), schedules=("sequential",), budgets=(100.0,))
    explore_model(lenet_model, tmp_path, dense, samples=lenet_images)
    first = explore_model(lenet_model, tmp_path, GRID, samples=lenet_images)
    assert first.resumed == 2  # the dense point and its accuracy
    before = points_of(tmp_path)

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("compressed again")

    monkeypatch.setattr(circulant, "compress_model", never)
    again = explore_model(lenet_model, tmp_path, GRID, samples=lenet_images)
    assert again.resumed == len({p.choice for p in again.points}) + 3
    assert points_of(tmp_path) == before


def test_training_makes_other_points(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    """Trained on the very images it is measured on: what counts here is that training reaches the points."""
    pytest.importorskip("torch", reason="pip install 'intarsia[train]'")
    grid = Grid(
        boards=("pynq-z2",), bits=((8, 8),), circulant=(4,), lanes=(8,), schedules=("sequential",), budgets=(100.0,)
    )  # fmt: skip
    untuned = explore_model(lenet_model, tmp_path, grid, samples=lenet_images)
    tuned = explore_model(
        lenet_model, tmp_path, grid, samples=lenet_images, training=Training(lenet_images, epochs=5)
    )
    assert tuned.resumed == 0
    assert not any(note.startswith("NOT TUNED") for note in tuned.notes)
    one, other = untuned.points[0].quality, tuned.points[0].quality
    assert one and other and one.accuracy is not None and other.accuracy is not None
    assert other.accuracy > one.accuracy
    assert "fine-tuned for 5 epochs" in points_of(tmp_path)["points"][0]["explanation"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--circulant", "1,3"], "--circulant must be of 1, 2, 4, 8, 16, 32, 64, not 3"),
        (["--train", "x.npz"], "--train fine-tunes circulant weights"),
        (["--circulant", "4", "--train", "none.npz"], "--train: there is no sample file none.npz"),
        (["--circulant", "4", "--epochs", "0"], "--epochs must be at least 1, not 0"),
    ],
)
def test_bad_options(lenet_model: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["explore", str(lenet_model), "-o", str(tmp_path / "sweep"), *options])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "sweep").exists()

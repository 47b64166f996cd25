"""The whole path of a compression: a dense ONNX model becomes one with circulant weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from ..circulant.blocks import Array, expand
from ..errors import IntarsiaError
from ..frontend import ImportedModel, import_model
from ..onnx_graph.onnx_model import Source
from ..onnx_graph.reference_session import reference_session
from ..progress import Progress, silent
from ..samples import DEFAULT_PREPROCESS, Preprocess, Samples, load_samples
from . import metadata
from .fold_batch_norm import fold_batch_norm
from .layers import find_layers, initializer_values, with_initializers
from .rules import Choice, choose, fewer
from .training import DEFAULT_RECIPE, Recipe, first_step, require_torch, train

_HELD_OUT = 10
"""One training sample in so many is kept for measuring, if there are no others."""


@dataclass(frozen=True)
class Measure:
    """Dense and circulant model on the same samples; accuracies are None without labels."""

    samples: int
    sqnr_db: float
    agreement: float
    dense_accuracy: float | None
    accuracy: float | None

    def __str__(self) -> str:
        text = f"outputs against the dense model: SQNR {self.sqnr_db:.1f} dB, same class {self.agreement:.2%}"
        if self.accuracy is None or self.dense_accuracy is None:
            return text
        lost = 100 * (self.dense_accuracy - self.accuracy)
        return f"accuracy {self.dense_accuracy:.2%} dense, {self.accuracy:.2%} circulant ({-lost:+.2f} points); {text}"


@dataclass(frozen=True, eq=False)
class Compression:
    """A compressed model.

    Attributes:
        model: plain ONNX, with dense weights that are exactly circulant, and the metadata of metadata.py.
        choices: what happened to each layer, and why.
        tuned: False for a projection without training.
        measure: what it did to the outputs; None without samples.
        measured_on: the samples of `measure`, in words.
    """

    model: onnx.ModelProto
    choices: tuple[Choice, ...]
    tuned: bool
    measure: Measure | None
    measured_on: str
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Weights of the dense model over stored ones, all layers together."""
        return fewer(self.choices)

    def write(self, path: Path) -> None:
        """Write the model, whole or not at all.

        Raises:
            IntarsiaError: the file cannot be written.
        """
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(self.model.SerializeToString())
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise IntarsiaError(f"cannot write {path}: {error.strerror}") from error

    def summary(self) -> str:
        """A line per layer, and what was measured."""
        wide = max(len(choice.layer.name) for choice in self.choices)
        lines = []
        for choice in self.choices:
            form = f"K={choice.block}" if choice.circulant else "dense"
            counts = f"{choice.layer.index.size:>9,} -> {choice.weights:>9,} weights"
            lines.append(f"{choice.layer.name:{wide}}  {form:5}  {counts}  {choice.reason}")
        lines.append(f"weights    {self.ratio:.2f} times fewer")
        if self.measure is not None:
            lines.append(f"measured   {self.measure} ({self.measured_on})")
        if not self.tuned:
            lines.append("NOT TUNED: a projection without training loses accuracy. Give --train X.npz")
        return "\n".join([*lines, *(f"note       {note}" for note in self.notes)])


def compress_model(
    model: Source,
    block: int | str,
    *,
    layers: Mapping[str, int | None] | None = None,
    training: str | Path | None = None,
    labels: str | Path | None = None,
    test: str | Path | None = None,
    calibration: str | Path | None = None,
    recipe: Recipe = DEFAULT_RECIPE,
    allow_untuned: bool = False,
    preprocess: Preprocess = DEFAULT_PREPROCESS,
    progress: Progress = silent,
) -> Compression:
    """Replace weights by circulant ones: projection, rescaling, fine-tuning.

    Args:
        model: path of a float ONNX model, or the model itself.
        block: size of the blocks, a power of two from 2 to 64, or "auto".
        layers: only these, by node name, each with a size of its own or None.
        training: samples to fine-tune on, with labels; without labels the dense model's outputs are the goal.
        labels: of the training samples, if they are in a file of their own.
        test: samples to measure on; without it a tenth of the training samples is held out.
        calibration: samples to measure on without training.
        recipe: of the training.
        allow_untuned: go on without training samples.
        preprocess: how sample files become model inputs.
        progress: told what is done.

    Raises:
        IntarsiaError: anything that the user can mend.
    """
    if training is None and not allow_untuned:
        raise IntarsiaError(
            "circulant weights without training lose much accuracy, even with small blocks. Give training samples "
            "with --train X.npz, or --allow-untuned to go on without"
        )
    if training is None and labels is not None:
        raise IntarsiaError("--labels belong to the samples of --train, which are missing")
    if training is not None:
        require_torch()
    first = import_model(model)
    if first.host_before is not None:
        node = first.host_before.graph.node[0]
        raise IntarsiaError(
            f"{node.op_type} node {node.name!r} runs on the host, before the accelerator. Supported: models whose every node "
            "but the last ones has hardware. Cut the model after the nodes that "
            f"make {first.host_before.graph.output[0].name!r}, and compress the rest"
        )
    imported = import_model(fold_batch_norm(first.model))
    choices = choose(find_layers(imported), block, layers)
    inputs = tuple(imported.graph.tensors[name] for name in imported.graph.inputs)
    notes: tuple[str, ...] = ()
    if training is None:
        columns = first_step(choices, initializer_values(imported.model))
        trained: dict[str, Array] = {}
        source = test or calibration
        measuring = load_samples(source, inputs, preprocess) if source else None
        measured_on = f"{measuring.count} samples of {source}" if measuring else ""
    else:
        samples = load_samples(training, inputs, preprocess, "training")
        if labels is not None:
            samples = replace(samples, labels=_read_labels(Path(labels), samples.count))
        notes = samples.notes
        if test is not None:
            measuring = load_samples(test, inputs, preprocess)
            measured_on = f"{measuring.count} samples of {test}"
        else:
            samples, measuring = _split(samples, recipe.seed)
            measured_on = f"{measuring.count} samples held out of {training}"
        values = [samples.arrays[name][:, 0] for name in imported.graph.inputs]
        targets = samples.labels
        if targets is None:
            targets = run(imported.model, imported, samples)[0]
            notes += ("no labels: the outputs of the dense model were the goal of the training",)
        trained, columns = train(imported.model, choices, values, targets, recipe, progress)
    compressed = with_initializers(imported.model, trained | _expanded(choices, columns))
    metadata.write(compressed, metadata.describe(choices, training is not None))
    measure = None if measuring is None else compare(imported, compressed, measuring)
    return Compression(compressed, choices, training is not None, measure, measured_on, notes)


def compare(imported: ImportedModel, compressed: onnx.ModelProto, samples: Samples) -> Measure:
    """Dense and compressed model in ONNX Runtime, by their first output."""
    dense = run(imported.model, imported, samples)[0].astype(np.float64)
    other = run(compressed, imported, samples)[0].astype(np.float64)
    count = len(dense)
    noise = float(np.square(dense - other).sum())
    sqnr = 10 * np.log10(np.square(dense).sum() / noise) if noise else np.inf
    classes, theirs = (values.reshape(count, -1).argmax(axis=1) for values in (dense, other))
    labels = samples.labels
    return Measure(
        count,
        float(sqnr),
        float((classes == theirs).mean()),
        None if labels is None else float((classes == labels).mean()),
        None if labels is None else float((theirs == labels).mean()),
    )


def run(model: onnx.ModelProto, imported: ImportedModel, samples: Samples) -> list[Array]:
    """Outputs of a model for all samples."""
    session = reference_session(model)
    feeds = {name: samples.arrays[name][:, 0] for name in imported.graph.inputs}
    if isinstance(session.get_inputs()[0].shape[0], str):
        found: list[Array] = session.run(None, feeds)
        return found
    parts = [
        session.run(None, {name: values[i : i + 1] for name, values in feeds.items()})
        for i in range(samples.count)
    ]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def _expanded(choices: tuple[Choice, ...], columns: Mapping[str, Array]) -> dict[str, Array]:
    """Initializers of the circulant layers: every element of a diagonal is the same float32 number."""
    result = {}
    for choice in choices:
        if choice.circulant:
            layer = choice.layer
            exact = np.asarray(columns[layer.initializer], dtype=np.float32)
            result[layer.initializer] = layer.to_initializer(expand(exact, layer.outputs, layer.inputs))
    return result


def _split(samples: Samples, seed: int) -> tuple[Samples, Samples]:
    """Nine tenths to train on and one to measure on."""
    order = np.random.default_rng(seed).permutation(samples.count)
    held = max(1, samples.count // _HELD_OUT)
    if samples.count < 2:
        raise IntarsiaError("training needs two samples or more: one is held out for measuring")

    def part(chosen: NDArray[np.int64]) -> Samples:
        labels = None if samples.labels is None else samples.labels[chosen]
        return Samples({name: values[chosen] for name, values in samples.arrays.items()}, labels)

    return part(order[held:]), part(order[:held])


def _read_labels(path: Path, count: int) -> NDArray[np.int64]:
    """Labels from an .npy file, or from the only array (or `y`, `labels`) of an .npz file."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            name = next((name for name in ("y", "labels") if name in loaded.files), loaded.files[0])
            loaded = loaded[name]
    except (OSError, ValueError, IndexError) as error:
        raise IntarsiaError(f"{path} cannot be read as labels: {error}. Give an .npy or .npz file") from error
    if loaded.dtype.kind not in "iu" or loaded.size != count:
        raise IntarsiaError(
            f"{path} holds {loaded.dtype} of shape {loaded.shape}; {count} integers are needed, one per sample"
        )
    result: NDArray[np.int64] = loaded.reshape(-1).astype(np.int64)
    return result

"""The model with circulant weights, made once for each size of blocks; a file of the sweep, which its points are compiled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from ..compress import Recipe, compress_model
from ..compress.fold_batch_norm import fold_batch_norm
from ..compress.layers import find_layers
from ..compress.rules import Choice, NoLayerError, choose, fewer
from ..compress.training import require_torch
from ..errors import IntarsiaError
from ..frontend import import_model
from ..onnx_graph.onnx_model import load
from ..progress import Progress, silent
from .choice import digest
from .sources import Material


@dataclass(frozen=True)
class Training:
    """How circulant weights are fine-tuned.

    Attributes:
        samples: sample file, with labels if it has any; None projects the weights and leaves it at that.
        epochs: passes over the samples.

    Raises:
        IntarsiaError: a number is out of range, there is no such file, or PyTorch is missing.
    """

    samples: Path | None = None
    epochs: int = Recipe.epochs

    def __post_init__(self) -> None:
        Recipe(self.epochs)
        if self.samples and not self.samples.is_file():
            raise IntarsiaError(f"--train: there is no sample file {self.samples}")
        if self.samples:
            require_torch()


UNTUNED = Training()


@dataclass(frozen=True, eq=False)
class Circulant:
    """A model with circulant weights.

    Attributes:
        path: its file; None if there is no such model.
        model: the same.
        words: what was done to the weights, in a sentence; or why there is no such model.
    """

    path: Path | None
    model: onnx.ModelProto | None
    words: str


def circulant_models(
    material: Material,
    blocks: Sequence[int],
    training: Training,
    directory: Path,
    samples: str | Path | None,
    progress: Progress = silent,
) -> dict[int, Circulant]:
    """Compress a model, unless the directory has the result from an earlier run.

    Args:
        material: the dense model, and how sample files become its inputs.
        blocks: sizes of circulant blocks; 1 is left out.
        training: how the weights are fine-tuned.
        directory: where the models go.
        samples: those that accuracy is measured on; without them, a tenth of the training samples is not trained on.
        progress: told what is done.

    Raises:
        IntarsiaError: the model cannot be compressed, or a file is not right.
    """
    folded = import_model(fold_batch_norm(material.imported.model))
    layers = find_layers(folded)
    content = _content(training, material, samples is not None)
    found = {}
    for block in blocks:
        if block == 1:
            continue
        try:
            choices = choose(layers, block)
        except NoLayerError as error:
            found[block] = Circulant(None, None, str(error))
            continue
        path = directory / f"circulant-{block}-{content}.onnx"
        if not path.exists():
            compress_model(
                material.proto,
                block,
                training=training.samples,
                test=samples if training.samples else None,
                recipe=Recipe(training.epochs),
                allow_untuned=training.samples is None,
                preprocess=material.preprocess,
                progress=progress,
            ).write(path)
        found[block] = Circulant(path, load(path), _words(block, choices, training))
    return found


def notes(models: Mapping[int, Circulant], training: Training) -> tuple[str, ...]:
    """What the user should know of the models."""
    if training.samples or not any(made.model for made in models.values()):
        return ()
    return (
        "NOT TUNED: circulant weights are projected without training, which loses accuracy. Give training samples with --train",
    )


def _words(block: int, choices: Sequence[Choice], training: Training) -> str:
    count = sum(choice.circulant for choice in choices)
    how = (
        f"fine-tuned for {training.epochs} epochs"
        if training.samples
        else "projected without training, which loses accuracy"
    )
    return (
        f"{count} of {len(choices)} layers with weights are circulant in blocks of {block}, {how}; all weights together are "
        f"{fewer(choices):.2f} times fewer."
    )


def _content(training: Training, material: Material, measured: bool) -> str:
    """Names what the trained weights depend on, the size of blocks left out."""
    parts = [digest(material.proto.SerializeToString(deterministic=True))]
    if training.samples:
        parts.append(digest(training.samples.read_bytes()))
        parts += [f"{training.epochs}", f"{measured}", repr(material.preprocess)]
    return digest(" ".join(parts))

"""`intarsia compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import IntarsiaError
from .choices import Fit, InputScale
from .output_paths import require_writable


def compress(
    model: Annotated[Path, typer.Argument(help="A trained float model (.onnx).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The compressed model to write (.onnx).")],
    block: Annotated[str, typer.Option(help="Size of circulant blocks: 2, 4, 8, 16, 32, 64, or auto.")],
    layers: Annotated[
        str | None, typer.Option(help="Only these layers: names, or NAME=SIZE, with commas between.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Samples to fine-tune on (.npz, .npy).")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of --train, if they are in another file.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Samples to measure on; a tenth of --train if not given.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Samples to measure on, where nothing is trained.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the samples.")] = 40,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, at the start of its cosine.")] = 5e-3,
    batch_size: Annotated[int, typer.Option(help="Samples of a training step.")] = 64,
    gradual: Annotated[
        bool, typer.Option("--gradual", help="Train with blocks of 2 first, then 4, up to the size.")
    ] = False,
    shift: Annotated[int, typer.Option(help="Move training images at random by up to so many pixels.")] = 0,
    distil: Annotated[
        float,
        typer.Option(help="Share of the goal that is the dense model's outputs, beside labels; 0 to 1."),
    ] = 0.7,
    average: Annotated[
        float, typer.Option(help="Kept of the running mean of the weights in a step; 0: no mean.")
    ] = 0.995,
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    allow_untuned: Annotated[
        bool, typer.Option("--allow-untuned", help="Project without training, at a loss of accuracy.")
    ] = False,
    input_scale: InputScale = None,
    fit: Annotated[
        Fit, typer.Option(help="Smaller images than the model's: zeros around them, or error.")
    ] = Fit.PAD,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
) -> None:
    """Make weights block-circulant: fewer to store and to multiply, as a plain ONNX model for `compile`."""
    if output.exists() and not force:
        raise IntarsiaError(f"{output} exists already: choose another file, or replace it with --force")
    require_writable(output)
    from ..compress import Recipe, compress_model
    from ..compress.rules import parse_layers
    from ..samples import Preprocess
    from ..terminal import progress_bars

    preprocess = Preprocess(fit=fit.value) if input_scale is None else Preprocess(input_scale, fit.value)
    with progress_bars() as progress:
        result = compress_model(
            model,
            block,
            layers=None if layers is None else parse_layers(layers),
            training=train,
            labels=labels,
            test=test,
            calibration=calibration,
            recipe=Recipe(epochs, learning_rate, batch_size, seed, gradual, shift, distil, average),
            allow_untuned=allow_untuned,
            preprocess=preprocess,
            progress=progress,
        )
    result.write(output)
    typer.echo(result.summary())
    typer.echo(f"Written to {output}. Next: intarsia compile {output}")

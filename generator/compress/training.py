"""Fine-tuning of a circulant network, on the CPU, with PyTorch (extra `train`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from ..circulant.blocks import Array, project, rescaled
from ..errors import IntarsiaError
from ..progress import Progress, silent
from .layers import initializer_values
from .rules import Choice


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam, whose learning rate falls along a cosine.

    Attributes:
        epochs: passes over the samples, in all.
        learning_rate: at the start. A low one under-trains: circulant weights have a long way to go.
        batch: samples of a step.
        seed: of the order of samples.
        gradual: from blocks of 2 over 4, 8, ... to those wanted, an equal share of the epochs each.
        shift: images are moved by up to so many pixels each time they are seen, zeros following.
        distil: share of the goal that is the dense model's own outputs for the same (moved) samples, softened; the
            rest is the labels. 0 to 1.
        average: what is kept of the running mean of the weights in each step; the mean is the result. 0: the last
            weights are.

    Raises:
        IntarsiaError: a number is out of range.
    """

    epochs: int = 40
    learning_rate: float = 5e-3
    batch: int = 64
    seed: int = 0
    gradual: bool = False
    shift: int = 0
    distil: float = 0.7
    average: float = 0.995

    def __post_init__(self) -> None:
        for option, value in (("epochs", self.epochs), ("batch-size", self.batch)):
            if value < 1:
                raise IntarsiaError(f"--{option} must be at least 1, not {value}")
        if not 0 < self.learning_rate <= 1:
            raise IntarsiaError(f"--learning-rate must be above 0 and at most 1, not {self.learning_rate:g}")
        if self.shift < 0:
            raise IntarsiaError(f"--shift must be at least 0, not {self.shift}")
        if not 0 <= self.distil <= 1:
            raise IntarsiaError(f"--distil must be from 0 to 1, not {self.distil:g}")
        if not 0 <= self.average < 1:
            raise IntarsiaError(f"--average must be at least 0 and below 1, not {self.average:g}")


DEFAULT_RECIPE = Recipe()


def require_torch() -> None:
    """Raise IntarsiaError, saying what to install, unless PyTorch is there."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise IntarsiaError(
            "fine-tuning needs PyTorch, which is not installed: pip install 'intarsia[train]'. Without it, "
            "--allow-untuned writes the projection alone, at a loss of accuracy"
        ) from error


def first_step(choices: Sequence[Choice], values: Mapping[str, Array]) -> dict[str, Array]:
    """Projected and rescaled first columns of the circulant layers, by initializer."""
    result = {}
    for choice in choices:
        if choice.circulant:
            weight = choice.layer.weight(np.asarray(values[choice.layer.initializer], dtype=np.float64))
            result[choice.layer.initializer] = rescaled(weight, project(weight, choice.block))
    return result


def train(
    model: onnx.ModelProto,
    choices: Sequence[Choice],
    inputs: Sequence[Array],
    targets: Array,
    recipe: Recipe = DEFAULT_RECIPE,
    progress: Progress = silent,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Fine-tune all weights and biases, those of circulant layers through their first columns.

    Args:
        model: normalised dense model.
        choices: for all its layers.
        inputs: float32 samples (samples, ...) for each graph input.
        targets: labels (samples,) as integers, for the cross-entropy of the first output; or the dense model's own first
            output, whose mean squared distance is made small instead.
        recipe: how.
        progress: told the epochs that are done, with loss and accuracy.

    Returns:
        The trained initializers, and the first columns of the circulant ones.

    Raises:
        IntarsiaError: no PyTorch, an operator that cannot be trained, or training diverged.
    """
    require_torch()
    from .torch_network import Network

    values = initializer_values(model)
    teacher = Network(model, {}, ()) if recipe.distil else None
    stages = _stages(choices) if recipe.gradual else [tuple(choices)]
    done = 0
    for number, stage in enumerate(stages):
        network = Network(model, first_step(stage, values), stage)
        until = recipe.epochs * (number + 1) // len(stages)
        _fit(network, teacher, model, inputs, targets, recipe, range(done, until), progress)
        done = until
        values = {**values, **network.initializers()}
    return network.initializers(), network.columns()


def _stages(choices: Sequence[Choice]) -> list[tuple[Choice, ...]]:
    """The choices with blocks of at most 2, then at most 4, and so on."""
    largest = max(choice.block for choice in choices)
    sizes = [1 << power for power in range(1, largest.bit_length())]
    return [tuple(replace(c, block=min(c.block, size)) for c in choices) for size in sizes]


def _fit(
    network: Any,
    teacher: Any,
    model: onnx.ModelProto,
    inputs: Sequence[Array],
    targets: Array,
    recipe: Recipe,
    epochs: range,
    progress: Progress,
) -> None:
    """Run the epochs, with a cosine of their own."""
    import torch

    if not epochs:
        return
    samples = [torch.from_numpy(np.ascontiguousarray(values)) for values in inputs]
    goal = torch.from_numpy(np.ascontiguousarray(targets))
    generator = torch.Generator().manual_seed(recipe.seed + epochs.start)
    steps = len(epochs) * -(-len(goal) // recipe.batch)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    probabilities = model.graph.node[-1].op_type == "Softmax"
    mean = _Mean(network, recipe.average) if recipe.average else None
    for epoch in epochs:
        total, right = 0.0, 0
        for index in torch.split(torch.randperm(len(goal), generator=generator), recipe.batch):
            batch = [moved(values[index], recipe.shift, generator) for values in samples]
            output = network(*batch)[0]
            loss = _loss(output, goal[index], probabilities)
            if teacher is not None and goal.ndim == 1:
                with torch.no_grad():
                    taught = teacher(*batch)[0]
                loss = (1 - recipe.distil) * loss + recipe.distil * _distance(output, taught, probabilities)
            if not torch.isfinite(loss):
                raise IntarsiaError(
                    f"training diverged in epoch {epoch + 1}: the loss is not finite. Give a lower --learning-rate "
                    f"than {recipe.learning_rate:g}, and check the scale of the samples (--input-scale)"
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if mean is not None:
                mean.step()
            total += loss.item() * len(index)
            if goal.ndim == 1:
                right += int((output.flatten(1).argmax(1) == goal[index]).sum())
        shown = f"Training: loss {total / len(goal):.4f}"
        if goal.ndim == 1:
            shown += f", accuracy {right / len(goal):.2%}"
        progress(shown, epoch + 1, recipe.epochs)
    if mean is not None:
        mean.put()


class _Mean:
    """Running mean of a network's parameters."""

    def __init__(self, network: Any, kept: float) -> None:
        """Start with the parameters as they are; `kept` of the mean is kept in each step."""
        self._network, self._kept, self._steps = network, kept, 0
        self._values = [parameter.detach().clone() for parameter in network.parameters()]

    def step(self) -> None:
        """Take in the parameters of a step; the first steps count more, or the start would linger."""
        self._steps += 1
        kept = min(self._kept, self._steps / (self._steps + 10))
        for value, parameter in zip(self._values, self._network.parameters(), strict=True):
            value.lerp_(parameter.detach(), 1 - kept)

    def put(self) -> None:
        """Make the mean the network's parameters."""
        for value, parameter in zip(self._values, self._network.parameters(), strict=True):
            parameter.data.copy_(value)


_TEMPERATURE = 4.0
"""Of distillation: logits are divided by it, so that the classes that are not the first count as well."""


def _distance(output: Any, taught: Any, probabilities: bool) -> Any:
    """Kullback-Leibler divergence of softened classes, times the square of the temperature (Hinton et al., 2015)."""
    from torch.nn import functional

    student, teacher = (x.flatten(1) for x in (output, taught))
    if probabilities:
        student, teacher = (x.clamp(min=1e-12).log() for x in (student, teacher))
    found = functional.kl_div(
        (student / _TEMPERATURE).log_softmax(1),
        (teacher / _TEMPERATURE).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return _TEMPERATURE**2 * found


def _loss(output: Any, goal: Any, probabilities: bool) -> Any:
    """Cross-entropy with labels; with outputs of the dense model, the squared distance over their energy.

    Behind a LogSoftmax cross-entropy is right as it is: log-softmax of log-probabilities changes nothing.
    """
    from torch.nn import functional

    if goal.ndim > 1:
        return functional.mse_loss(output, goal) / goal.square().mean().clamp(min=1e-12)
    logits = output.flatten(1)
    return functional.cross_entropy(logits.clamp(min=1e-12).log() if probabilities else logits, goal)


def moved(images: Any, shift: int, generator: Any) -> Any:
    """Each image of a batch moved by its own draw; other tensors stay."""
    import torch
    from torch.nn import functional

    if not shift or images.ndim != 4:
        return images
    count, _, height, width = images.shape
    padded = functional.pad(images, [shift] * 4)
    y, x = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    rows = (y[:, None] + torch.arange(height))[:, :, None]
    columns = (x[:, None] + torch.arange(width))[:, None, :]
    return padded[torch.arange(count)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)

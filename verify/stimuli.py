"""Stress vectors: inputs that real samples never contain, and that find the faults real samples hide."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from intarsia.fixed_point import Integers
from intarsia.task_graph import Tensor

ONE_HOT = 8
RANDOM = 4
Pattern = Callable[[Tensor, np.random.Generator], Integers]


def stress(inputs: Iterable[Tensor], seed: int = 0) -> dict[str, Integers]:
    """Raw integers of shape (vectors, *tensor shape) for each input; vector i has the name `NAMES[i]`.

    Args:
        inputs: the quantised input tensors of a graph.
        seed: seed of the random vectors.
    """
    generator = np.random.default_rng(seed)
    return {
        tensor.name: np.stack([pattern(tensor, generator) for _, pattern in PATTERNS]) for tensor in inputs
    }


def _constant(tensor: Tensor, value: int) -> Integers:
    return np.full(tensor.shape, value, np.int64)


def _one_hot(position: int) -> Pattern:
    """One channel at the upper rail, later at the lower one; one element where there is one channel only."""

    def pattern(tensor: Tensor, generator: np.random.Generator) -> Integers:
        result = _constant(tensor, 0)
        if tensor.channels > 1:
            spread = max(tensor.channels, ONE_HOT)
            channel = position * spread // ONE_HOT
            rail = (
                tensor.number.minimum
                if channel >= tensor.channels and tensor.number.signed
                else tensor.number.maximum
            )
            np.moveaxis(result, tensor.channel_axis, 0)[channel % tensor.channels] = rail
        else:
            result.reshape(-1)[position * (result.size - 1) // (ONE_HOT - 1)] = tensor.number.maximum
        return result

    return pattern


def _checkerboard(phase: int) -> Pattern:
    """Both rails in turn along every axis."""

    def pattern(tensor: Tensor, generator: np.random.Generator) -> Integers:
        parity = (np.indices(tensor.shape).sum(axis=0) + phase) % 2
        return np.where(parity == 0, tensor.number.minimum, tensor.number.maximum).astype(np.int64)

    return pattern


def _ramp(step: int) -> Pattern:
    """Every raw value in turn, in memory order: neighbours differ, so that a shift by one is seen."""

    def pattern(tensor: Tensor, generator: np.random.Generator) -> Integers:
        levels = tensor.number.maximum - tensor.number.minimum + 1
        count = int(np.prod(tensor.shape))
        return (step * np.arange(count, dtype=np.int64) % levels + tensor.number.minimum).reshape(
            tensor.shape
        )

    return pattern


def _random(tensor: Tensor, generator: np.random.Generator) -> Integers:
    """Uniform over the full raw range."""
    return generator.integers(
        tensor.number.minimum, tensor.number.maximum, tensor.shape, dtype=np.int64, endpoint=True
    )


PATTERNS: tuple[tuple[str, Pattern], ...] = (
    ("zeros", lambda tensor, _: _constant(tensor, 0)),
    ("lower rail", lambda tensor, _: _constant(tensor, tensor.number.minimum)),
    ("upper rail", lambda tensor, _: _constant(tensor, tensor.number.maximum)),
    *((f"one-hot {position}", _one_hot(position)) for position in range(ONE_HOT)),
    ("checkerboard 0", _checkerboard(0)),
    ("checkerboard 1", _checkerboard(1)),
    ("ramp up", _ramp(1)),
    ("ramp down", _ramp(-1)),
    *((f"random {number}", _random) for number in range(RANDOM)),
)
"""Name and pattern of each stress vector."""

NAMES = tuple(name for name, _ in PATTERNS)

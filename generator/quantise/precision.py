"""Bits of single layers and tensors, which differ from those of all others: mixed precision."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import IntarsiaError
from ..task_graph import Task, TaskGraph

NARROWEST, WIDEST = 2, 16
_KEYS = ("weight_bits", "activation_bits")
_EXAMPLE = "[layers.NAME] with weight_bits and activation_bits, or [tensors] with NAME = bits"


@dataclass(frozen=True)
class Precision:
    """Bits by name, where they are told.

    Attributes:
        weights: by task, or ONNX node that a task stands for.
        activations: likewise, of what the task makes.
        tensors: by tensor.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    activations: Mapping[str, int] = field(default_factory=dict)
    tensors: Mapping[str, int] = field(default_factory=dict)

    def weight_bits(self, task: Task, default: int) -> int:
        """Bits of a task's weights."""
        return _told(self.weights, (task.name, *task.onnx_nodes), default)

    def tensor_bits(self, tensor: str, producer: Task | None, default: int) -> int:
        """Bits of a tensor; its own entry comes before that of the layer that makes it."""
        names = (producer.name, *producer.onnx_nodes) if producer else ()
        return self.tensors.get(tensor, _told(self.activations, names, default))

    def check(self, graph: TaskGraph) -> None:
        """Refuse names that the graph does not have, and bits that could have no effect.

        Raises:
            IntarsiaError: naming the first of them.
        """
        layers = [name for task in graph.tasks for name in (task.name, *task.onnx_nodes)]
        _known("layer", (*self.weights, *self.activations), layers, [task.name for task in graph.tasks])
        _known("tensor", self.tensors, graph.tensors, graph.tensors)
        for task in graph.tasks:
            names = {task.name, *task.onnx_nodes}
            if names & self.weights.keys() and not task.operator.weight_roles:
                raise IntarsiaError(
                    f"layer {task.name!r} ({task.operator.name}) has no weights: leave out its weight_bits"
                )
            told = names & self.activations.keys() or task.output in self.tensors
            if told and task.operator.keeps_format():
                raise IntarsiaError(
                    f"layer {task.name!r} ({task.operator.name}) keeps the bits of its input {task.inputs[0]!r}: give the "
                    "bits of the layer that makes it"
                )


def read_precision(path: str | Path) -> Precision:
    """The precision that a TOML file asks for.

        [layers.conv1]
        weight_bits = 4
        activation_bits = 16

        [tensors]
        image = 8

    Raises:
        IntarsiaError: there is no such file, or it says something else.
    """
    file = Path(path)
    if not file.is_file():
        raise IntarsiaError(f"there is no precision file {file}. Give a .toml file: {_EXAMPLE}")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntarsiaError(f"{file} is no TOML file: {error}") from error
    _keys(file, "the file", content, ("layers", "tensors"))
    bits: dict[str, dict[str, int]] = {key: {} for key in _KEYS}
    for layer, entries in _table(file, "layers", content.get("layers", {})).items():
        _keys(file, f"layers.{layer}", _table(file, f"layers.{layer}", entries), _KEYS)
        for key, number in entries.items():
            bits[key][layer] = _bits(file, f"layers.{layer}.{key}", number)
    tensors = {
        name: _bits(file, f"tensors.{name}", number)
        for name, number in _table(file, "tensors", content.get("tensors", {})).items()
    }
    return Precision(bits["weight_bits"], bits["activation_bits"], tensors)


def _told(bits: Mapping[str, int], names: Iterable[str], default: int) -> int:
    return next((bits[name] for name in names if name in bits), default)


def _known(what: str, names: Iterable[str], known: Iterable[str], shown: Iterable[str]) -> None:
    if unknown := [name for name in names if name not in set(known)]:
        raise IntarsiaError(f"--precision names {what} {unknown[0]!r}; the model has {', '.join(shown)}")


def _table(file: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise IntarsiaError(f"{file}: {where} is {value!r}, but must be a table. Write {_EXAMPLE}")
    return value


def _keys(file: Path, where: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    if unknown := [key for key in table if key not in allowed]:
        raise IntarsiaError(f"{file}: {where} has a key {unknown[0]!r}. Supported: {', '.join(allowed)}")


def _bits(file: Path, where: str, number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not NARROWEST <= number <= WIDEST:
        raise IntarsiaError(
            f"{file}: {where} is {number!r}. Supported: whole numbers from {NARROWEST} to {WIDEST}"
        )
    return number

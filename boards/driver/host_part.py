"""Runs a part of a model that is left to the host, in ONNX Runtime.

A design that leaves the first or the last nodes of its model to the host has this file, `host_before.onnx` and
`host_after.onnx` in its deploy folder. It needs NumPy and onnxruntime; the accelerator itself runs without.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_QUIET = 4


class HostPartError(Exception):
    """The part cannot be run; the message says why and what to do."""


class HostPart:
    """A model of one sample.

    Attributes:
        inputs: name of each input -> its shape for one sample, batch axis included.
        types: name of each input -> its NumPy type.
        outputs: names of the outputs.
    """

    def __init__(self, model: bytes, name: str = "the host's part of the model") -> None:
        """Loads the model.

        Args:
            model: Content of the .onnx file.
            name: What messages call it.

        Raises:
            HostPartError: If onnxruntime is not installed, or cannot run the model.
        """
        self.name = name
        try:
            import onnxruntime
        except ImportError as error:
            raise HostPartError(
                f"{name} runs in ONNX Runtime, which is not installed: pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            raise HostPartError(f"ONNX Runtime cannot run {name}: {_first_line(error)}") from error
        self.inputs = {one.name: tuple(one.shape) for one in self._session.get_inputs()}
        self.types = {one.name: _numpy_type(one.type) for one in self._session.get_inputs()}
        self.outputs = [one.name for one in self._session.get_outputs()]

    @classmethod
    def read(cls, path: Path) -> HostPart:
        """Loads a file.

        Raises:
            HostPartError: If it cannot be read or run.
        """
        try:
            return cls(path.read_bytes(), path.name)
        except OSError as error:
            raise HostPartError(
                f"cannot read {path}: {error.strerror}. Copy the whole deploy folder again"
            ) from error

    def run(self, values: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Runs samples, one after the other.

        Args:
            values: Input arrays of shape (samples, ...), each sample with as many elements as the input has.

        Returns:
            Output arrays of shape (samples, *shape for one sample).

        Raises:
            HostPartError: If an input is missing, of another size or type, or beyond what the model can take.
        """
        feeds = {name: self._fitted(name, values) for name in self.inputs}
        counts = {name: len(rows) for name, rows in feeds.items()}
        if len(set(counts.values())) > 1:
            raise HostPartError(f"{self.name}: the inputs have different numbers of samples: {counts}")
        results: list[list[Any]] = []
        for sample in range(next(iter(counts.values()))):
            try:
                one = {name: rows[sample] for name, rows in feeds.items()}
                results.append(self._session.run(self.outputs, one))
            except Exception as error:
                raise HostPartError(f"{self.name} fails on sample {sample}: {_first_line(error)}") from error
        return {name: np.stack(parts) for name, parts in zip(self.outputs, zip(*results), strict=True)}  # noqa: B905

    def _fitted(self, name: str, values: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Samples of one input in its shape and type."""
        if name not in values:
            raise HostPartError(
                f"{self.name}: input '{name}' is missing; given: {', '.join(values) or 'none'}"
            )
        given, shape = np.asarray(values[name]), self.inputs[name]
        if given.ndim == 0 or not len(given) or given[0].size != np.prod(shape, dtype=int):
            raise HostPartError(
                f"{self.name}: input '{name}' has shape {given.shape}, it must be (samples, ...) with samples of shape "
                f"{shape}"
            )
        typed: np.ndarray[Any, Any] = given.astype(self.types[name])
        if typed.dtype.kind != "f" and not np.array_equal(typed, given):
            raise HostPartError(
                f"{self.name}: input '{name}' holds values that {typed.dtype} cannot, from {given.min()} to {given.max()}"
            )
        return typed.reshape(len(given), *shape)


def _numpy_type(text: str) -> np.dtype[Any]:
    """The type that ONNX Runtime calls tensor(...)."""
    name = text.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(name, name))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]

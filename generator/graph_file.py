"""A task graph as one .npz file: the arrays, and one JSON header for all the rest. No pickle.

Integers are stored in the smallest type that holds them and come back in the type they had.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from .errors import IntarsiaError
from .fixed_point import ChannelFormat, FixedPoint, ParameterFormat, Rounding
from .operator import Array, Operator
from .ops import OPERATORS
from .task_graph import Parameter, Task, TaskGraph, Tensor

_KIND = "intarsia task graph"
_VERSION = 2
_HEADER = "header"
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError)


class GraphFileError(IntarsiaError):
    """A file is not a task graph that this version can read."""


def save_graph(graph: TaskGraph, path: str | Path) -> None:
    """Write a graph to an .npz file."""
    Path(path).write_bytes(graph_bytes(graph))


def graph_bytes(graph: TaskGraph) -> bytes:
    """The content of the file; the same graph gives the same bytes."""
    arrays: dict[str, Array] = {}
    header = {
        "kind": _KIND,
        "version": _VERSION,
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "tensors": [_tensor(tensor) for tensor in graph.tensors.values()],
        "tasks": [_task(task, arrays) for task in graph.tasks],
    }
    text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{_HEADER: text}, **arrays)
    return buffer.getvalue()


def load_graph(path: str | Path) -> TaskGraph:
    """Read a graph.

    Raises:
        GraphFileError: there is no such file, it is damaged, or it is something else.
    """
    if not Path(path).is_file():
        raise GraphFileError(f"there is no task graph at {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # a damaged zip archive raises almost anything
        raise GraphFileError(f"{path} is damaged, or no .npz file: {error}") from error
    header = _header(arrays, path)
    try:
        return _read_graph(header, arrays)
    except _DAMAGE as error:
        raise GraphFileError(
            f"{path}: the task graph is damaged ({error!r}). Compile the model again"
        ) from error


def _header(arrays: Mapping[str, Array], path: str | Path) -> dict[str, Any]:
    if _HEADER not in arrays:
        raise GraphFileError(
            f"{path} is no task graph of intarsia: it holds {', '.join(sorted(arrays)) or 'nothing'}"
        )
    try:
        header = json.loads(arrays[_HEADER].tobytes())
    except ValueError as error:
        raise GraphFileError(f"{path}: its header is damaged. Compile the model again") from error
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise GraphFileError(f"{path} is no task graph of intarsia")
    if header.get("version") != _VERSION:
        raise GraphFileError(
            f"{path} has version {header.get('version')}; this intarsia reads version {_VERSION}. Compile the model again"
        )
    return header


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "channel_axis": tensor.channel_axis,
        "format": _format(tensor.format),
        "kind": tensor.kind,
    }


def _task(task: Task, arrays: dict[str, Array]) -> dict[str, Any]:
    parameters = {}
    for role, parameter in task.parameters.items():
        key = f"parameter{len(arrays)}"
        arrays[key] = _compact(parameter.values)
        parameters[role] = {
            "array": key,
            "type": parameter.values.dtype.str,
            "format": _parameter_format(parameter.format),
        }
    return {
        "name": task.name,
        "operator": type(task.operator).__name__,
        "attributes": {
            field.name: getattr(task.operator, field.name) for field in _attributes(type(task.operator))
        },
        "inputs": task.inputs,
        "output": task.output,
        "parameters": parameters,
        "clamp": [None if math.isinf(bound) else bound for bound in task.clamp],
        "onnx_nodes": task.onnx_nodes,
    }


def _attributes(operator: type[Operator]) -> tuple[Any, ...]:
    return fields(operator)  # type: ignore[arg-type]  # every operator is a dataclass


def _compact(values: Array) -> Array:
    if values.dtype.kind != "i" or not values.size:
        return values
    kinds = (np.int8, np.int16, np.int32, np.int64)
    low, high = int(values.min()), int(values.max())
    return values.astype(next(k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max))


def _format(number: FixedPoint | None) -> list[Any] | None:
    if number is None:
        return None
    rounding = number.rounding.name
    return [
        number.bits,
        number.exponent,
        number.signed,
        number.mantissa,
        number.zero,
        rounding,
        number.narrow,
    ]


def _read_format(text: list[Any] | None) -> FixedPoint | None:
    if text is None:
        return None
    bits, exponent, signed, mantissa, zero, rounding, narrow = text
    return FixedPoint(bits, exponent, signed, mantissa, zero, Rounding[rounding], narrow)


def _parameter_format(number: ParameterFormat | None) -> list[Any] | None:
    if isinstance(number, ChannelFormat):
        return [number.bits, number.exponents, number.mantissas]
    return _format(number)


def _read_parameter_format(text: list[Any] | None) -> ParameterFormat | None:
    if text is not None and isinstance(text[1], list):
        return ChannelFormat(text[0], tuple(text[1]), tuple(text[2]))
    return _read_format(text)


def _read_graph(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> TaskGraph:
    tensors = {
        text["name"]: Tensor(
            text["name"],
            tuple(text["shape"]),
            text["channel_axis"],
            _read_format(text["format"]),
            text["kind"],
        )
        for text in header["tensors"]
    }
    tasks = tuple(_read_task(text, arrays) for text in header["tasks"])
    return TaskGraph(header["name"], tuple(header["inputs"]), tuple(header["outputs"]), tensors, tasks)


def _read_task(text: Mapping[str, Any], arrays: Mapping[str, Array]) -> Task:
    known = {operator.__name__: operator for operator in OPERATORS}
    attributes = {name: _tuples(value) for name, value in text["attributes"].items()}
    low, high = text["clamp"]
    return Task(
        name=text["name"],
        operator=known[text["operator"]](**attributes),
        inputs=tuple(text["inputs"]),
        output=text["output"],
        parameters={
            role: Parameter(
                arrays[entry["array"]].astype(entry["type"]), _read_parameter_format(entry["format"])
            )
            for role, entry in text["parameters"].items()
        },
        clamp=(-math.inf if low is None else low, math.inf if high is None else high),
        onnx_nodes=tuple(text["onnx_nodes"]),
    )


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

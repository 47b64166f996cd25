"""Samples of models whose first nodes run on the host: in the model's own inputs, brought to the accelerator's.

Own inputs may be integers, such as token ids; the host's part of the model makes of them what the accelerator takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from intarsia.boards.driver.host_part import HostPart, HostPartError

from ..operator import Array
from ..samples import (
    DEFAULT_PREPROCESS,
    Preprocess,
    Purpose,
    Samples,
    SamplesError,
    load_samples,
    read_arrays,
    synthetic_samples,
)
from ..task_graph import Tensor

_KEEPS_RANGE = (
    "Cast",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Transpose",
    "Slice",
    "Identity",
    "Expand",
)
_ANY_INTEGER = 2
"""Values below it serve an input whose range is unknown: it may be a mask."""


def own_inputs(inputs: tuple[Tensor, ...], host: HostPart) -> tuple[Tensor, ...]:
    """What a user gives: the host's inputs, then those of the accelerator that the host does not make."""
    first = tuple(Tensor(name, shape, len(shape) - 1) for name, shape in host.inputs.items())
    return first + tuple(one for one in inputs if one.name not in (*host.outputs, *host.inputs))


def load(
    path: str | Path,
    inputs: tuple[Tensor, ...],
    host: HostPart | None,
    preprocess: Preprocess = DEFAULT_PREPROCESS,
    purpose: Purpose = "verification",
) -> tuple[Samples, dict[str, Array]]:
    """Read samples for the accelerator, through the host's part of the model if there is one.

    A file that names every input of the accelerator, but not the model's own, is taken as already processed.

    Args:
        path: an .npz file, or an .npy file for a model of one input.
        inputs: what the accelerator takes.
        host: the first nodes of the model.
        preprocess: how float samples become model inputs.
        purpose: what they are for.

    Returns:
        The accelerator's samples, and the model's own inputs of shape (samples, *input shape), empty without a host part.

    Raises:
        SamplesError: the file does not serve, or the host's part does not run on it.
    """
    if host is None:
        return load_samples(path, inputs, preprocess, purpose), {}
    own = own_inputs(inputs, host)
    names = {name.removeprefix("in:") for name in read_arrays(Path(path))}
    if {one.name for one in inputs} <= names and not {one.name for one in own} <= names:
        return load_samples(path, inputs, preprocess, purpose), {}
    types = {name: kind for name, kind in host.types.items() if kind.kind != "f"}
    samples = load_samples(path, own, preprocess, purpose, types)
    return _through(samples, inputs, host, f"{path}: "), samples.arrays


def synthetic(
    inputs: tuple[Tensor, ...], model: onnx.ModelProto, host: HostPart
) -> tuple[Samples, dict[str, Array]]:
    """Random samples: integers as far as the tables go that they index, booleans, and reals in [0, 1).

    Args:
        inputs: what the accelerator takes.
        model: the host's part of the model, for the sizes of its tables.
        host: the same, ready to run.
    """
    own = own_inputs(inputs, host)
    samples = synthetic_samples(own)
    generator = np.random.default_rng(0)
    arrays = dict(samples.arrays)
    for name, kind in host.types.items():
        if kind.kind != "f":
            arrays[name] = generator.integers(0, _bound(model, name, kind), arrays[name].shape).astype(kind)
    samples = replace(samples, arrays=arrays)
    return _through(samples, inputs, host, ""), arrays


def _through(samples: Samples, inputs: tuple[Tensor, ...], host: HostPart, where: str) -> Samples:
    try:
        made = host.run(samples.arrays)
    except HostPartError as error:
        raise SamplesError(f"{where}{error}") from error
    known = {**samples.arrays, **made}
    return replace(samples, arrays={one.name: known[one.name].astype(np.float32) for one in inputs})


def _bound(model: onnx.ModelProto, name: str, kind: np.dtype[np.generic]) -> int:
    """One more than the largest value that an input may have."""
    if kind.kind == "b":
        return 2
    sizes = _table_sizes(model, name)
    if sizes:
        return min(sizes)
    return 256 if kind == np.uint8 else _ANY_INTEGER


def _table_sizes(model: onnx.ModelProto, name: str) -> list[int]:
    """Lengths of the constant tables that an input indexes, also behind nodes that keep its range."""
    shapes: Mapping[str, tuple[int, ...]] = {
        tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer
    }
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    same, sizes = {name}, []
    for node in model.graph.node:
        if node.op_type in _KEEPS_RANGE and node.input[0] in same:
            same.add(node.output[0])
        elif node.op_type == "Gather" and node.input[1] in same and node.input[0] in shapes:
            axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
            sizes.append(shapes[node.input[0]][axis])
        elif node.op_type == "OneHot" and node.input[0] in same and node.input[1] in constants:
            sizes.append(int(numpy_helper.to_array(constants[node.input[1]]).reshape(-1)[0]))
    return sizes

"""Calibration: the float model run on samples in ONNX Runtime, and the statistics of every tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx

from ..errors import IntarsiaError
from ..onnx_graph.reference_session import reference_session
from ..operator import Array
from ..progress import Progress, silent
from ..task_graph import TaskGraph
from .histogram import Histogram, histogram, merge

Statistics = Mapping[str, Histogram]

_BATCH = 32
_NEWEST_IR_VERSION = 10


class CalibrationError(IntarsiaError):
    """The float model does not run on the samples, or gives values that no format can hold."""


def calibrate(
    model: onnx.ModelProto, graph: TaskGraph, samples: Mapping[str, Array], progress: Progress = silent
) -> Statistics:
    """Statistics of every tensor of a float task graph.

    Args:
        model: the float model that the graph was made from; its tensors have the graph's names.
        graph: float task graph.
        samples: real values of each graph input, of shape (samples, *tensor shape).
        progress: told how many samples are done.

    Raises:
        CalibrationError: the model does not run, or gives NaN or infinity.
    """
    total = len(samples[graph.inputs[0]])
    statistics: dict[str, Histogram] = {}
    for done, tensors in run_batches(model, graph, samples):
        for name, values in tensors.items():
            if not np.isfinite(values).all():
                raise CalibrationError(
                    f"tensor {name!r} of the float model has NaN or infinite values for calibration samples up to "
                    f"{done - 1}. Check the samples' scale (--input-scale) and the model"
                )
            one = histogram(values)
            statistics[name] = merge(statistics[name], one) if name in statistics else one
        progress("Calibrating", done, total)
    return statistics


def run_batches(
    model: onnx.ModelProto, graph: TaskGraph, samples: Mapping[str, Array]
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Number of samples done so far and all tensors of the last batch."""
    names = [name for name in graph.tensors if name not in graph.inputs]
    try:
        session = reference_session(_exposed(model, names))
    except Exception as error:
        raise CalibrationError(f"ONNX Runtime cannot load the float model: {_first_line(error)}") from error
    kinds = {node.name: np.dtype(_NUMPY_TYPES[node.type]) for node in session.get_inputs()}
    total = len(samples[graph.inputs[0]])
    batch = _BATCH if all(isinstance(node.shape[0], str | None) for node in session.get_inputs()) else 1
    done = 0
    while done < total:
        part = {name: np.asarray(samples[name][done : done + batch]) for name in graph.inputs}
        # The graph's own batch axis is 1: (samples, 1, ...) becomes the model's (samples, ...).
        feeds = {
            name: values.reshape(-1, *values.shape[2:]).astype(kinds[name]) for name, values in part.items()
        }
        try:
            results = session.run(names, feeds)
        except Exception as error:
            if batch > 1:  # a Reshape with a batch of 1 written into it, for example
                batch = 1
                continue
            raise CalibrationError(f"the float model fails on sample {done}: {_first_line(error)}") from error
        done = min(done + batch, total)
        yield done, {**part, **dict(zip(names, results, strict=True))}


_NUMPY_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


def _exposed(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """A copy whose outputs are the named tensors.

    Raises:
        CalibrationError: the model has no such tensor.
    """
    made = {name for node in model.graph.node for name in node.output}
    if missing := [name for name in names if name not in made]:
        raise CalibrationError(
            f"the float model has no tensor {missing[0]!r} (a pass must keep the model's names)"
        )
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = min(model.ir_version, _NEWEST_IR_VERSION)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]

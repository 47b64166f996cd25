"""What all points of a sweep start from: the model, its number ranges, and samples to judge by. Made once, sent to every worker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from intarsia.boards.host_part import HostPart

from .. import host_samples, passes
from ..frontend import import_model
from ..onnx_model import load
from ..operator import Array
from ..progress import Progress, silent
from ..quantise import Statistics, calibrate
from ..quantise.calibrate import run_batches
from ..samples import Preprocess, Samples, SamplesError, synthetic_samples

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sources:
    """The common inputs of all points; equal if their content is.

    Attributes:
        digest: SHA-256 of the content, in hexadecimal.
        model: the ONNX model, as bytes.
        statistics: number ranges of every tensor of the float graph.
        samples: inputs that accuracy is measured on, by graph input.
        labels: a class for each sample, if known.
        float_outputs: what the float model makes of the samples, by graph output.
        notes: what a user should know, one line each.
    """

    digest: str
    model: bytes
    statistics: Statistics = field(repr=False)
    samples: Mapping[str, Array] = field(repr=False)
    labels: Labels | None
    float_outputs: Mapping[str, Array] = field(repr=False)
    notes: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sources) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def collect(
    model: str | Path,
    samples: str | Path | None,
    labels: str | Path | None,
    calibration: str | Path | None,
    preprocess: Preprocess,
    progress: Progress = silent,
) -> Sources:
    """Import and calibrate a model, and run it in ONNX Runtime on the samples.

    Args:
        model: path of a float ONNX model.
        samples: sample file to measure accuracy on; synthetic ones if None.
        labels: file of the samples' classes, if they are not in the sample file.
        calibration: sample file for number ranges; `samples` if None, as in `intarsia compile`.
        preprocess: how sample files become model inputs.
        progress: told what is done.

    Raises:
        IntarsiaError: the model or a file is not right.
    """
    proto = load(model)
    imported = import_model(proto)
    preprocess = preprocess.with_integers(imported.integer_inputs)
    graph = passes.run(imported.graph)
    inputs = tuple(graph.tensors[name] for name in graph.inputs)
    before = imported.host_before
    host = HostPart(before.SerializeToString()) if before else None
    if samples:
        judged, _ = host_samples.load(samples, inputs, host, preprocess)
    else:
        judged = (
            host_samples.synthetic(inputs, before, host)[0] if before and host else synthetic_samples(inputs)
        )
    ranges = calibration or samples
    calibrating = host_samples.load(ranges, inputs, host, preprocess, "calibration")[0] if ranges else judged
    classes = _labels(labels, judged) if labels else judged.labels
    size = int(np.prod(graph.tensors[graph.outputs[0]].shape))
    if classes is not None and not 0 <= classes.min() <= classes.max() < size:
        raise SamplesError(
            f"{labels or samples}: labels go from {classes.min()} to {classes.max()}, but the model has {size} "
            "outputs, which are numbered from 0"
        )
    statistics = calibrate(imported.model, graph, calibrating.arrays, progress)
    outputs: dict[str, list[Array]] = {name: [] for name in graph.outputs}
    for _, tensors in run_batches(imported.model, graph, judged.arrays):
        for name, parts in outputs.items():
            parts.append(tensors[name])
    content = proto.SerializeToString(deterministic=True)
    return Sources(
        digest=_digest(content, calibrating, judged, classes),
        model=content,
        statistics=statistics,
        samples=judged.arrays,
        labels=classes,
        float_outputs={name: np.concatenate(parts) for name, parts in outputs.items()},
        notes=tuple(dict.fromkeys((*imported.notes, *calibrating.notes, *judged.notes))),
    )


def model_of(sources: Sources) -> onnx.ModelProto:
    """The model."""
    return onnx.load_from_string(sources.model)


def _labels(path: str | Path, samples: Samples) -> Labels:
    """Labels from a file of their own: an .npy file, or an .npz file with one array or one named labels or y."""
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"labels": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except Exception as error:  # a damaged zip archive raises almost anything
        raise SamplesError(
            f"cannot read labels from {path}: give an .npy or .npz file of integers"
        ) from error
    names = [name for name in ("labels", "y") if name in arrays] or list(arrays)
    values = arrays[names[0]].reshape(-1) if len(names) == 1 else None
    if values is None or values.dtype.kind not in "iu":
        raise SamplesError(
            f"{path}: one array of integers is needed, named labels or y; found {', '.join(arrays)}"
        )
    if len(values) != samples.count:
        raise SamplesError(f"{path}: there are {len(values)} labels, but {samples.count} samples")
    return values.astype(np.int64)


def _digest(model: bytes, calibrating: Samples, judged: Samples, labels: Labels | None) -> str:
    whole = hashlib.sha256(model)
    for samples in (calibrating, judged):
        for name, values in sorted(samples.arrays.items()):
            whole.update(f"{name} {values.shape} {values.dtype}".encode())
            whole.update(np.ascontiguousarray(values).tobytes())
    if labels is not None:
        whole.update(labels.tobytes())
    return whole.hexdigest()

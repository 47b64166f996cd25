"""What all points of a sweep start from: the model, its number ranges, and samples to judge by. Made once, sent to every worker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from intarsia.boards.driver.host_part import HostPart

from .. import passes
from ..frontend import ImportedModel, import_model
from ..host import samples as host_samples
from ..onnx_graph.onnx_model import load
from ..operator import Array
from ..progress import Progress, silent
from ..quantise import Statistics, calibrate
from ..quantise.calibrate import run_batches
from ..samples import Preprocess, Samples, SamplesError, synthetic_samples
from .choice import digest

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Network:
    """A float model that points are made of: the user's own, or one with circulant weights.

    Attributes:
        model: the ONNX model, as bytes.
        digest: of the model; it names the results that depend on it.
        statistics: number ranges of every tensor of the float graph.
        obstacle: why there is no such model; the rest is empty then.
        words: what was done to the weights, in a sentence; empty for the user's own.
    """

    model: bytes
    digest: str
    statistics: Statistics = field(repr=False)
    obstacle: str = ""
    words: str = ""

    @property
    def proto(self) -> onnx.ModelProto:
        """The model."""
        return onnx.load_from_string(self.model)


@dataclass(frozen=True, eq=False)
class Sources:
    """The common inputs of all points; equal if their content is.

    Attributes:
        digest: SHA-256 of the content, in hexadecimal.
        networks: by size of circulant blocks; 1 is the user's own model.
        samples: inputs that accuracy is measured on, by graph input.
        labels: a class for each sample, if known.
        float_outputs: what the user's float model makes of the samples, by graph output.
    """

    digest: str
    networks: Mapping[int, Network]
    samples: Mapping[str, Array] = field(repr=False)
    labels: Labels | None
    float_outputs: Mapping[str, Array] = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sources) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True, eq=False)
class Material:
    """What the user gave, read and checked: a model, and samples for accuracy and for number ranges.

    Attributes:
        digest: SHA-256 of the content, in hexadecimal.
        proto: the model as it was given.
        imported: the same, imported.
        preprocess: how sample files become its inputs.
        judged: samples that accuracy is measured on.
        calibrating: samples for number ranges.
        labels: a class for each of `judged`, if known.
        notes: what the user should know, one line each.
    """

    digest: str
    proto: onnx.ModelProto
    imported: ImportedModel
    preprocess: Preprocess
    judged: Samples
    calibrating: Samples
    labels: Labels | None
    notes: tuple[str, ...]


def read(
    model: str | Path,
    samples: str | Path | None,
    labels: str | Path | None,
    calibration: str | Path | None,
    preprocess: Preprocess,
) -> Material:
    """Import a model and read the samples.

    Args:
        model: path of a float ONNX model.
        samples: sample file to measure accuracy on; synthetic ones if None.
        labels: file of the samples' classes, if they are not in the sample file.
        calibration: sample file for number ranges; `samples` if None, as in `intarsia compile`.
        preprocess: how sample files become model inputs.

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
    return Material(
        digest=_digest(proto.SerializeToString(deterministic=True), calibrating, judged, classes),
        proto=proto,
        imported=imported,
        preprocess=preprocess,
        judged=judged,
        calibrating=calibrating,
        labels=classes,
        notes=tuple(dict.fromkeys((*imported.notes, *calibrating.notes, *judged.notes))),
    )


def collect(
    material: Material,
    circulant: Mapping[int, tuple[onnx.ModelProto | None, str]],
    progress: Progress = silent,
) -> Sources:
    """Calibrate the models, and run the user's in ONNX Runtime on the samples.

    Args:
        material: what the user gave.
        circulant: by size of blocks, the same model with circulant weights, and what was done to them in words; None
            and the reason if there is no such model.
        progress: told what is done.
    """
    own = _network(material, material.proto, progress)
    networks = {1: own} | {
        block: _network(material, proto, progress, words) if proto else Network(b"", "", {}, obstacle=words)
        for block, (proto, words) in circulant.items()
    }
    graph = passes.run(material.imported.graph)
    outputs: dict[str, list[Array]] = {name: [] for name in graph.outputs}
    for _, tensors in run_batches(material.imported.model, graph, material.judged.arrays):
        for name, parts in outputs.items():
            parts.append(tensors[name])
    whole = hashlib.sha256(material.digest.encode())
    for network in networks.values():
        whole.update(network.model)
    return Sources(
        digest=whole.hexdigest(),
        networks=networks,
        samples=material.judged.arrays,
        labels=material.labels,
        float_outputs={name: np.concatenate(parts) for name, parts in outputs.items()},
    )


def _network(material: Material, proto: onnx.ModelProto, progress: Progress, words: str = "") -> Network:
    imported = import_model(proto)
    statistics = calibrate(imported.model, passes.run(imported.graph), material.calibrating.arrays, progress)
    content = proto.SerializeToString(deterministic=True)
    return Network(content, digest(content), statistics, words=words)


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

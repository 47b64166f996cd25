"""Sample files: what a user has (.npz or .npy) as arrays that fit the model's inputs."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import IntarsiaError
from .operator import Array
from .task_graph import Tensor

Reals = NDArray[np.float32]
Purpose = Literal["calibration", "training", "verification"]

_USUAL = ("x", "images", "input", "inputs")
NO_TYPES: Mapping[str, np.dtype[Any]] = MappingProxyType({})
_COMMON_NAMES: dict[Purpose, tuple[str, ...]] = {
    "calibration": ("calibration", *_USUAL),
    "training": (*_USUAL, "calibration"),
    "verification": (*_USUAL, "calibration"),
}
_PARTS: dict[Purpose, frozenset[str]] = {
    "calibration": frozenset(("train", "training", "calibration")),
    "training": frozenset(("train", "training")),
    "verification": frozenset(("test", "testing", "val", "valid", "validation", "eval")),
}
"""Words that say which part of a data set an array is: x_train, test_images, ..."""
_LABEL_NAMES = ("y", "labels")
_SAMPLE_WORDS = frozenset((*_USUAL, "image"))
_LABEL_WORDS = frozenset((*_LABEL_NAMES, "label", "targets"))
_IMAGE_RANK = 3  # channels, height, width
_SYNTHETIC = 64


class SamplesError(IntarsiaError):
    """A sample file cannot be read, or does not fit the model."""


@dataclass(frozen=True)
class Preprocess:
    """How sample files become model inputs; kept in design.json, so that verification does the same.

    `scale` multiplies uint8 data (other data stay as they are); `fit` says what happens to images smaller than
    the model's: zeros around them, or an error. `integers` are graph inputs that the model takes as integers, each as
    (name, scale, zero point): samples of an integer type are such integers.
    """

    scale: float = 1 / 255
    fit: Literal["pad", "error"] = "pad"
    integers: tuple[tuple[str, float, int], ...] = ()

    def with_integers(self, inputs: Mapping[str, tuple[float, int]]) -> Preprocess:
        """The same for a model that takes these inputs as integers: name -> scale and zero point."""
        return replace(self, integers=tuple((name, *numbers) for name, numbers in inputs.items()))

    def __post_init__(self) -> None:
        if self.fit not in ("pad", "error"):
            raise SamplesError(f"--fit must be pad or error, not {self.fit!r}")
        if not (math.isfinite(self.scale) and self.scale != 0):
            raise SamplesError(f"--input-scale must be a finite number other than 0, not {self.scale}")


DEFAULT_PREPROCESS = Preprocess()


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs of shape (samples, *tensor shape) by graph input: real ones, but integers where the host takes these.

    `notes` say what was done to the data.
    """

    arrays: dict[str, Array]
    labels: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(next(iter(self.arrays.values())))


def load_samples(
    path: str | Path,
    inputs: tuple[Tensor, ...],
    preprocess: Preprocess = DEFAULT_PREPROCESS,
    purpose: Purpose = "verification",
    types: Mapping[str, np.dtype[Any]] = NO_TYPES,
) -> Samples:
    """Read samples for every graph input, and labels if there are any.

    An input's array is named as the input, `in:` and that name, or in one of the common ways (x, images, input,
    calibration); failing that, it is the only array that fits, or the only one whose name has the part that the purpose
    asks for (x_train, test_images, ...), which a note then says. Labels are named y or labels, or as the samples with such
    a word (y_train, test_labels, ...); samples for calibration have none.

    Args:
        path: an .npz file, or an .npy file for a model of one input.
        inputs: tensors of the graph inputs.
        preprocess: how to scale and fit.
        purpose: which array is meant, if a file has several.
        types: types of the inputs that are integers or booleans for the host; these and the accelerator's own are taken
            as they are.

    Raises:
        SamplesError: the file, an array or its values do not serve.
    """
    arrays = read_arrays(Path(path))
    chosen = {
        tensor.name: _choose(path, arrays, tensor, purpose, single=len(inputs) == 1) for tensor in inputs
    }
    notes: dict[str, None] = {
        f"{Path(path).name}: array {key!r} is taken for {purpose}": None
        for key in chosen.values()
        if _words(key) & _PARTS[purpose] and key != "calibration"
    }
    results = {
        tensor.name: _prepare(
            f"{path}: array {chosen[tensor.name]!r}", arrays[chosen[tensor.name]], tensor, preprocess, notes
        )
        if (kind := types.get(tensor.name, tensor.integers)) is None
        else _as_integers(f"{path}: array {chosen[tensor.name]!r}", arrays[chosen[tensor.name]], tensor, kind)
        for tensor in inputs
    }
    scaled = {one.name for one in inputs if one.integers is None} - types.keys()
    if purpose == "calibration" and preprocess.scale != Preprocess.scale:
        for name, key in chosen.items():
            if arrays[key].dtype != np.uint8 and name in scaled:
                notes[f"input {name!r}: samples are {arrays[key].dtype}, not uint8, and so not scaled"] = None
    lengths = {chosen[name]: len(values) for name, values in results.items()}
    if len(set(lengths.values())) > 1:
        raise SamplesError(f"{path}: the inputs have different numbers of samples: {lengths}")
    labels = None if purpose == "calibration" else _labels(path, arrays, chosen, next(iter(lengths.values())))
    return Samples(results, labels, tuple(notes))


def synthetic_samples(inputs: tuple[Tensor, ...], seed: int = 0, count: int = _SYNTHETIC) -> Samples:
    """Uniform random values in [0, 1), for when there is no calibration data; the note says so loudly."""
    generator = np.random.default_rng(seed)
    arrays = {
        tensor.name: generator.random((count, *tensor.shape), dtype=np.float32)
        if tensor.integers is None
        else generator.integers(0, _synthetic_bound(tensor.integers), (count, *tensor.shape)).astype(
            np.float32
        )
        for tensor in inputs
    }
    note = (
        "NOT CALIBRATED: no samples were given, so number ranges come from random inputs (reals in [0, 1), integers from "
        "0 on). The design runs and verifies, but its accuracy on real data is unknown. Give real samples with --calibration X.npz"
    )
    return Samples(arrays, None, (note,))


def _synthetic_bound(kind: np.dtype[Any]) -> int:
    """One more than the largest integer of synthetic samples: bytes and less have all values, others as many as a byte."""
    return 2 if kind.kind == "b" else 128 if kind == np.int8 else 256


def samples_bytes(arrays: Mapping[str, Array]) -> bytes:
    """An .npz file of arrays by graph input, for `load_samples`."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, allow_pickle=False, **{f"in:{name}": values for name, values in arrays.items()}
    )
    return buffer.getvalue()


def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of a file; the array of an .npy file has the name `x`."""
    if not path.is_file():
        raise SamplesError(f"there is no sample file {path}. Give an .npz or .npy file")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a damaged zip archive raises almost anything
        raise SamplesError(
            f"{path} is no .npz or .npy file of numbers, or is damaged. numpy.savez(path, x=samples) makes one"
        ) from error


def _choose(
    path: str | Path, arrays: Mapping[str, Array], tensor: Tensor, purpose: Purpose, single: bool
) -> str:
    """Name of the array for an input."""
    common = _COMMON_NAMES[purpose] if single else ()
    for name in (tensor.name, f"in:{tensor.name}", *common):
        if name in arrays:
            return name
    fitting = [
        name
        for name in arrays
        if not _words(name) & _LABEL_WORDS and _per_sample(arrays[name], tensor) is not None
    ]
    parts = [name for name in fitting if _words(name) & _PARTS[purpose]]
    for candidates in (fitting, parts):
        if len(candidates) == 1:
            return candidates[0]
    found = ", ".join(f"{name} {values.shape}" for name, values in arrays.items()) or "no array"
    problem = f"more than one array could be the input: {', '.join(fitting)}" if fitting else "no array fits"
    raise SamplesError(
        f"{path}: {problem}. The model's input {tensor.name!r} needs shape {_wanted(tensor)}; the file holds {found}. "
        f"Name the array {tensor.name!r}" + (f", or one of {', '.join(common)}" if common else "")
    )


def _prepare(
    where: str, values: Array, tensor: Tensor, preprocess: Preprocess, notes: dict[str, None]
) -> Reals:
    """Values of a chosen array as (samples, *tensor shape)."""
    if values.dtype.kind not in "iufb":
        raise SamplesError(f"{where} holds {values.dtype}; numbers are needed")
    if not values.size:
        raise SamplesError(f"{where} is empty: its shape is {values.shape}")
    shaped = _per_sample(values, tensor)
    if shaped is None:
        hint = ""
        if values.ndim == _IMAGE_RANK + 1 and _per_sample(np.moveaxis(values, -1, 1), tensor) is not None:
            hint = ". Its channels seem to come last: numpy.moveaxis(array, -1, 1) brings them to the front"
        raise SamplesError(
            f"{where} has shape {values.shape}; input {tensor.name!r} needs {_wanted(tensor)}{hint}"
        )
    with np.errstate(over="ignore"):
        reals = shaped.astype(np.float32)
    if not np.isfinite(reals).all():
        bad = int(np.argwhere(~np.isfinite(reals.reshape(len(reals), -1)))[0, 0])
        raise SamplesError(
            f"{where} has NaN or infinity (or a value beyond float32) in sample {bad}. Samples must be finite "
            "numbers: leave it out or mend it"
        )
    own = next((numbers for name, *numbers in preprocess.integers if name == tensor.name), None)
    if own is not None and values.dtype.kind in "iu":
        scale, zero = own
        reals = ((reals.astype(np.float64) - zero) * scale).astype(np.float32)
        notes[f"input {tensor.name!r}: {values.dtype} samples are the model's own integers"] = None
    elif values.dtype == np.uint8:
        reals *= np.float32(preprocess.scale)
        if preprocess.scale != 1:
            shown = "1/255" if preprocess.scale == Preprocess.scale else f"{preprocess.scale:g}"
            notes[
                f"input {tensor.name!r}: uint8 samples are multiplied by {shown} (--input-scale 1 keeps them)"
            ] = None
    return _pad(where, reals, tensor, preprocess, notes)


def _as_integers(where: str, values: Array, tensor: Tensor, kind: np.dtype[Any]) -> Array:
    """Values of an input that takes integers or booleans, as (samples, *tensor shape)."""
    shaped = _per_sample(values, tensor) if values.size else None
    if shaped is None or shaped.shape[1:] != tensor.shape[1:]:
        raise SamplesError(f"{where} has shape {values.shape}; input {tensor.name!r} needs {_wanted(tensor)}")
    with np.errstate(invalid="ignore"):
        typed: Array = shaped.astype(kind)
    if values.dtype.kind not in "iufb" or not np.array_equal(typed, shaped):
        raise SamplesError(
            f"{where} is {values.dtype} with values that input {tensor.name!r}, {kind}, cannot take"
        )
    if tensor.format is not None:
        low, high = (bound - tensor.format.zero for bound in (tensor.format.minimum, tensor.format.maximum))
        if not (low <= typed.min() and typed.max() <= high):
            raise SamplesError(
                f"{where} has values from {typed.min()} to {typed.max()}; the design takes {low} to {high} for input "
                f"{tensor.name!r}. Compile it again with calibration samples that have them, or with more bits for this "
                "tensor (--precision)"
            )
    return typed[:, np.newaxis] if tensor.integers is None else typed[:, np.newaxis].astype(np.float32)


def _per_sample(values: Array, tensor: Tensor) -> Array | None:
    """The array as (samples, *shape without batch axis), images of other sizes included; None if it cannot be.

    Added or dropped: any axes of 1 in every sample, the sample axis of a lone sample;
    flat samples of the right number of values get the shape.
    """
    target = tensor.shape[1:]
    shape = values.shape
    if not shape:
        return None
    candidates = [shape]
    if shape[1:2] == (1,):
        candidates.append((shape[0], *shape[2:]))
    if target[:1] == (1,):
        candidates.append((shape[0], 1, *shape[1:]))
    candidates.append((1, *shape))
    for candidate in candidates:
        if _fits(candidate[1:], target):
            return values.reshape(candidate)
    flat = len(shape) == 2 or len(target) == 1
    if math.prod(shape[1:]) == math.prod(target) and (flat or _long(shape[1:]) == _long(target)):
        return values.reshape(shape[0], *target)
    return None


def _long(shape: tuple[int, ...]) -> list[int]:
    """Axes of more than one element."""
    return [size for size in shape if size != 1]


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Equal, or images of as many channels."""
    return shape == target or (len(shape) == len(target) == _IMAGE_RANK and shape[0] == target[0])


def _pad(where: str, reals: Reals, tensor: Tensor, preprocess: Preprocess, notes: dict[str, None]) -> Reals:
    """Images of the model's height and width, and the tensor's batch axis."""
    target = tensor.shape[1:]
    if reals.shape[1:] != target:
        have, need = reals.shape[2:], target[1:]
        sizes = f"{have[0]} x {have[1]} images, and input {tensor.name!r} is {need[0]} x {need[1]}"
        if have[0] > need[0] or have[1] > need[1]:
            raise SamplesError(
                f"{where} has {sizes}. Crop or resize them first; only smaller images are padded"
            )
        if preprocess.fit == "error":
            raise SamplesError(f"{where} has {sizes}. Resize them, or let --fit pad put zeros around them")
        margins = [((n - h) // 2, n - h - (n - h) // 2) for h, n in zip(have, need, strict=True)]
        reals = np.pad(reals, ((0, 0), (0, 0), *margins))
        notes[
            f"input {tensor.name!r}: {have[0]} x {have[1]} images are padded with zeros to {need[0]} x {need[1]}, "
            "centred (--fit error forbids it)"
        ] = None
    return reals[:, np.newaxis]


def _labels(
    path: str | Path, arrays: Mapping[str, Array], chosen: Mapping[str, str], count: int
) -> NDArray[np.int64] | None:
    samples = set(chosen.values())
    partners = [
        name
        for name in arrays
        for sample in samples
        if _words(name) & _LABEL_WORDS and _words(name) - _LABEL_WORDS == _words(sample) - _SAMPLE_WORDS
    ]
    name = next((name for name in (*partners, *_LABEL_NAMES) if name in arrays and name not in samples), None)
    if name is None or set(chosen.values()) == {"calibration"}:
        return None
    labels = arrays[name]
    if labels.ndim > 1 and labels.shape[0] == labels.size:
        labels = labels.reshape(-1)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise SamplesError(
            f"{path}: {name!r} must be one integer per sample; it is {labels.dtype} {labels.shape}"
        )
    if len(labels) != count:
        raise SamplesError(f"{path}: there are {len(labels)} labels in {name!r}, but {count} samples")
    return labels.astype(np.int64)


def _words(name: str) -> frozenset[str]:
    """The words of an array's name: test_images has two."""
    return frozenset(re.split(r"[^a-z0-9]+", name.lower()))


def _wanted(tensor: Tensor) -> str:
    return "(samples, " + ", ".join(map(str, tensor.shape[1:])) + ")"

"""Which array of a file is meant: for an input, and for labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..operator import Array
from ..task_graph import Tensor
from .samples import SamplesError
from .shapes import per_sample, wanted

Purpose = Literal["calibration", "training", "verification"]
_USUAL = ("x", "images", "input", "inputs")
_COMMON_NAMES: dict[Purpose, tuple[str, ...]] = {
    "calibration": ("calibration", *_USUAL),
    "training": (*_USUAL, "calibration"),
    "verification": (*_USUAL, "calibration"),
}
PARTS: dict[Purpose, frozenset[str]] = {
    "calibration": frozenset(("train", "training", "calibration")),
    "training": frozenset(("train", "training")),
    "verification": frozenset(("test", "testing", "val", "valid", "validation", "eval")),
}
"""Words that say which part of a data set an array is: x_train, test_images, ..."""
_LABEL_NAMES = ("y", "labels")
_SAMPLE_WORDS = frozenset((*_USUAL, "image"))
_LABEL_WORDS = frozenset((*_LABEL_NAMES, "label", "targets"))


def choose(
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
        if not words_of_name(name) & _LABEL_WORDS and per_sample(arrays[name], tensor) is not None
    ]
    parts = [name for name in fitting if words_of_name(name) & PARTS[purpose]]
    for candidates in (fitting, parts):
        if len(candidates) == 1:
            return candidates[0]
    found = ", ".join(f"{name} {values.shape}" for name, values in arrays.items()) or "no array"
    problem = f"more than one array could be the input: {', '.join(fitting)}" if fitting else "no array fits"
    raise SamplesError(
        f"{path}: {problem}. The model's input {tensor.name!r} needs shape {wanted(tensor)}; the file holds {found}. "
        f"Name the array {tensor.name!r}" + (f", or one of {', '.join(common)}" if common else "")
    )


def labels_of(
    path: str | Path, arrays: Mapping[str, Array], chosen: Mapping[str, str], count: int
) -> NDArray[np.int64] | None:
    samples = set(chosen.values())
    partners = [
        name
        for name in arrays
        for sample in samples
        if words_of_name(name) & _LABEL_WORDS
        and words_of_name(name) - _LABEL_WORDS == words_of_name(sample) - _SAMPLE_WORDS
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


def words_of_name(name: str) -> frozenset[str]:
    """The words of an array's name: test_images has two."""
    return frozenset(re.split(r"[^a-z0-9]+", name.lower()))

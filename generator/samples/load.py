"""Sample files: what a user has (.npz or .npy) as arrays that fit the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..task_graph import Tensor
from .choose import PARTS, Purpose, choose, labels_of, words_of_name
from .files import read_arrays
from .preprocess import DEFAULT_PREPROCESS, Preprocess
from .samples import Samples, SamplesError
from .values import as_integers, as_reals

NO_TYPES: Mapping[str, np.dtype[Any]] = MappingProxyType({})


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
        tensor.name: choose(path, arrays, tensor, purpose, single=len(inputs) == 1) for tensor in inputs
    }
    notes: dict[str, None] = {
        f"{Path(path).name}: array {key!r} is taken for {purpose}": None
        for key in chosen.values()
        if words_of_name(key) & PARTS[purpose] and key != "calibration"
    }
    results = {
        tensor.name: as_reals(
            f"{path}: array {chosen[tensor.name]!r}", arrays[chosen[tensor.name]], tensor, preprocess, notes
        )
        if (kind := types.get(tensor.name, tensor.integers)) is None
        else as_integers(f"{path}: array {chosen[tensor.name]!r}", arrays[chosen[tensor.name]], tensor, kind)
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
    labels = (
        None if purpose == "calibration" else labels_of(path, arrays, chosen, next(iter(lengths.values())))
    )
    return Samples(results, labels, tuple(notes))

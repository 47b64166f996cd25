"""Values of an array as a graph input takes them: real numbers, or integers as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..operator import Array
from ..task_graph import Tensor
from .preprocess import Preprocess
from .samples import Reals, SamplesError
from .shapes import IMAGE_RANK, per_sample, wanted


def as_reals(
    where: str, values: Array, tensor: Tensor, preprocess: Preprocess, notes: dict[str, None]
) -> Reals:
    """Values of a chosen array as (samples, *tensor shape)."""
    if values.dtype.kind not in "iufb":
        raise SamplesError(f"{where} holds {values.dtype}; numbers are needed")
    if not values.size:
        raise SamplesError(f"{where} is empty: its shape is {values.shape}")
    shaped = per_sample(values, tensor)
    if shaped is None:
        hint = ""
        if values.ndim == IMAGE_RANK + 1 and per_sample(np.moveaxis(values, -1, 1), tensor) is not None:
            hint = ". Its channels seem to come last: numpy.moveaxis(array, -1, 1) brings them to the front"
        raise SamplesError(
            f"{where} has shape {values.shape}; input {tensor.name!r} needs {wanted(tensor)}{hint}"
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


def as_integers(where: str, values: Array, tensor: Tensor, kind: np.dtype[Any]) -> Array:
    """Values of an input that takes integers or booleans, as (samples, *tensor shape)."""
    shaped = per_sample(values, tensor) if values.size else None
    if shaped is None or shaped.shape[1:] != tensor.shape[1:]:
        raise SamplesError(f"{where} has shape {values.shape}; input {tensor.name!r} needs {wanted(tensor)}")
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

"""Where the elements of a tensor lie in DRAM.

Pixel by pixel: the batch axis is dropped, the channels come last, and each pixel takes whole words of `lanes` elements,
padded with zeros. An element takes the bytes that its format needs, or more if the words of the design are wider.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import AcceleratorError
from .number_formats import element_type, limits


def storage_type(spec: dict[str, Any]) -> np.dtype[Any]:
    """Returns the NumPy type of an element in DRAM: that of its format, unless the design stores it wider."""
    kind = element_type(spec["format"])
    return np.dtype(f"<{kind.kind}{spec.get('element_bytes', kind.itemsize)}")


def sample_bytes(spec: dict[str, Any]) -> int:
    """Returns how many bytes one sample of a tensor takes in DRAM."""
    element = spec.get("element_bytes") or element_type(spec["format"]).itemsize
    return int(spec["words"]) * int(spec["lanes"]) * int(element)


def pack(values: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Lays raw integers out as the words of DRAM.

    Args:
        values: One sample of the shape in `spec`, or several along the first axis.
        spec: The entry of the tensor in the manifest.

    Returns:
        The bytes, sample after sample, as one flat array of uint8.
    """
    samples = as_samples(values, spec)
    low, high = limits(spec["format"])
    if samples.size and (int(samples.min()) < low or int(samples.max()) > high):
        raise AcceleratorError(
            f"tensor '{spec['tensor']}' holds values from {samples.min()} to {samples.max()}, "
            f"its format allows {low} to {high}"
        )
    pixels = np.moveaxis(samples, spec["channel_axis"], -1)
    channels = pixels.shape[-1]
    words = -(-channels // spec["lanes"])  # of one pixel
    count = int(np.prod(pixels.shape[1:-1]))
    packed = np.zeros((len(samples), count, words * spec["lanes"]), storage_type(spec))
    packed[..., :channels] = pixels.reshape(len(samples), count, channels)
    return packed.reshape(-1).view(np.uint8)


def unpack(buffer: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Reads raw integers back from the words of DRAM.

    Args:
        buffer: The bytes of one sample, or of several in a row.
        spec: The entry of the tensor in the manifest.

    Returns:
        A new array of the shape in `spec`, with the number of samples as its first axis.
    """
    flat = np.ascontiguousarray(buffer).reshape(-1).view(np.uint8)
    if flat.nbytes == 0 or flat.nbytes % sample_bytes(spec):
        raise AcceleratorError(
            f"tensor '{spec['tensor']}': {flat.nbytes} bytes are not a number of samples of {sample_bytes(spec)} bytes"
        )
    shape, axis = list(spec["shape"][1:]), spec["channel_axis"] - 1
    channels = shape.pop(axis)
    words = -(-channels // spec["lanes"])
    elements = flat.view(storage_type(spec)).reshape(-1, *shape, words * spec["lanes"])
    return np.moveaxis(elements[..., :channels], -1, axis + 1).copy()


def as_samples(values: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns raw integers with the samples along the first axis; one sample may come without that axis.

    Raises:
        AcceleratorError: If they are of another shape than `spec` says, or no integers.
    """
    raw, shape = np.asarray(values), tuple(spec["shape"])
    if raw.shape == shape[1:]:
        raw = raw[np.newaxis]
    if raw.shape[1:] != shape[1:] or raw.ndim != len(shape) or len(raw) == 0:
        wanted = ", ".join(["samples", *map(str, shape[1:])])
        raise AcceleratorError(f"tensor '{spec['tensor']}' has shape {raw.shape}, it must be ({wanted})")
    if raw.dtype.kind not in "iu":
        raise AcceleratorError(
            f"tensor '{spec['tensor']}' is {raw.dtype}; raw integers are wanted here: quantise it first"
        )
    return raw

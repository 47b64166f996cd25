"""Arrays in .npz and .npy files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..operator import Array
from .samples import SamplesError


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

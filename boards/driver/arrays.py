"""Raw integers in .npz files, keyed by tensor name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AcceleratorError


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Reads an .npz.

    Raises:
        AcceleratorError: If it is something else, or damaged.
        OSError: If it cannot be read.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    arrays[name.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # a damaged archive raises almost anything
        raise AcceleratorError(
            f"{path} is no .npz file of arrays, or is damaged ({error}): write it with numpy.savez"
        ) from error
    return arrays


def save_arrays(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Writes an .npz; unlike `numpy.savez`, any tensor name will do."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

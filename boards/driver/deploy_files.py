"""The files of the deploy folder: found, checked against each other, and read."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AcceleratorError

BUILD_SUMS = "SHA256SUMS"

Arrays = dict[str, np.ndarray[Any, Any]]


def find_manifest(bitstream: Path) -> Path:
    """The manifest beside the bitstream, else the one of the folder that the driver was copied to."""
    beside = bitstream.parent / "manifest.json"
    return beside if beside.is_file() else Path(__file__).resolve().parents[1] / "manifest.json"


def check_files(bitstream: Path, manifest_path: Path, manifest: dict[str, Any]) -> None:
    """Checks that the files are there and belong together.

    Raises:
        AcceleratorError: If one is missing, was changed, or is of another build.
    """
    files = [bitstream]
    if manifest.get("runtime", "pynq") == "pynq":
        files.append(bitstream.with_suffix(".hwh"))
    for path in files:
        if not path.is_file():
            raise AcceleratorError(
                f"there is no file {path}"
                + ("; the .bit and its .hwh must stand side by side" if len(files) > 1 else "")
            )
    for name, wanted in manifest.get("sha256", {}).items():
        path = manifest_path.parent / name
        if path.is_file():
            check_hash(path, path.read_bytes(), wanted)
    _check_build(bitstream, manifest_path)


def _check_build(bitstream: Path, manifest_path: Path) -> None:
    """Compares the files with the list that the build wrote beside them, if there is one.

    The list holds the manifest too, so it also tells a bitstream that was built before the last compilation.
    """
    sums = bitstream.with_name(BUILD_SUMS)
    if not sums.is_file():
        return
    names = {"manifest.json": manifest_path}
    for line in sums.read_text(encoding="utf-8").splitlines():
        wanted, _, name = line.partition("  ")
        path = names.get(name, bitstream.with_name(name))
        if not path.is_file():
            raise AcceleratorError(
                f"there is no file {path}, which {sums} lists: copy the deploy folder again"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            raise AcceleratorError(
                f"{path} is not the file that {sums} lists: the files are not of one build. Build the bitstream "
                "again, or copy the whole deploy folder again"
            )


def check_hash(path: Path, data: bytes, wanted: str) -> None:
    """Raises AcceleratorError if the content of a file has another SHA-256."""
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise AcceleratorError(
            f"{path} is not the file the manifest was made with (sha256 {found[:12]}..., wanted {wanted[:12]}...): "
            "copy the whole deploy folder again"
        )


def read_weights(folder: Path, manifest: dict[str, Any]) -> np.ndarray[Any, Any] | None:
    """The bytes of the weights, or None if the design has none.

    Raises:
        AcceleratorError: If they cannot be read, or are not those of the design.
    """
    weights = manifest.get("weights")
    if not weights:
        return None
    path = folder / weights["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AcceleratorError(f"cannot read weights {path}: {error.strerror}") from error
    if len(data) != weights["bytes"]:
        raise AcceleratorError(
            f"{path} has {len(data)} bytes, the manifest says {weights['bytes']}: copy it again"
        )
    check_hash(path, data, weights["sha256"])
    return np.frombuffer(data, np.uint8)


def read_golden_vectors(manifest_path: Path, manifest: dict[str, Any]) -> tuple[Arrays, Arrays]:
    """The golden vectors of the project: raw inputs, and the raw outputs that they must give, by tensor name.

    Raises:
        AcceleratorError: If there are none, or they cannot be read, or are not those of the design.
    """
    golden = manifest.get("golden")
    if not golden:
        raise AcceleratorError(f"{manifest_path} names no golden vectors")
    path = manifest_path.parent / golden["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AcceleratorError(f"cannot read the golden vectors {path}: {error.strerror}") from error
    check_hash(path, data, golden["sha256"])
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    inputs = {name.removeprefix("in:"): array for name, array in arrays.items() if name[:3] == "in:"}
    expected = {name.removeprefix("out:"): array for name, array in arrays.items() if name[:4] == "out:"}
    return inputs, expected

"""The first and the last nodes of a model, where they are left to the host, around the accelerator."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .deploy_files import check_hash
from .errors import AcceleratorError
from .host_part import HostPart, HostPartError
from .manifest import inputs_by_name


class HostNodes:
    """What of a model runs on the host; does nothing where that is nothing."""

    def __init__(self, manifest: dict[str, Any], folder: Path, wanted: bool) -> None:
        """Loads the parts.

        Args:
            manifest: The manifest of the design.
            folder: Where their files are.
            wanted: Whether they are to be run.

        Raises:
            AcceleratorError: If a file is missing or was changed.
        """
        self._manifest = manifest
        self._wanted = wanted
        self._parts, self._why_not = _load(manifest, folder) if wanted else ({}, "host_parts is False")

    def before(self, x: Any) -> dict[str, Any]:
        """What the hardware takes as real numbers, of the model's own inputs or of these tensors themselves."""
        before = self._manifest.get("host", {}).get("before")
        names = [spec["tensor"] for spec in self._manifest["inputs"]]
        if before is None or (isinstance(x, dict) and all(name in x for name in names)):
            return inputs_by_name(x, self._manifest)
        own = [spec["tensor"] for spec in before["inputs"]]
        made = [spec["tensor"] for spec in before["outputs"]]
        own += [name for name in names if name not in made and name not in own]
        if "before" not in self._parts:
            if isinstance(x, dict) or len(names) > 1 or not _is_of(x, self._manifest["inputs"][0]):
                raise AcceleratorError(
                    f"the model's first nodes run on the host, and cannot: {self._why_not}. Without them, give the tensors "
                    f"{', '.join(names)} that they make of {', '.join(own)}, as real numbers in a dict by name"
                )
            return {names[0]: x}
        values = x if isinstance(x, dict) else {own[0]: x}
        if missing := [name for name in own if name not in values]:
            raise AcceleratorError(
                f"input '{missing[0]}' is missing; the model has the inputs {', '.join(own)}: give a dict by name"
            )
        values = {name: np.asarray(value) for name, value in values.items()}
        for spec in before["inputs"]:
            name = spec["tensor"]
            if values[name].size == np.prod(spec["shape"], dtype=int):
                values[name] = values[name].reshape(1, *spec["shape"])
        return {**values, **self._run("before", values)}

    def after(self, results: dict[str, Any]) -> dict[str, Any]:
        """The model's outputs: the results of the hardware, through the host's last nodes."""
        after = self._manifest.get("host", {}).get("after")
        if after is None:
            return results
        read = [spec["tensor"] for spec in after["inputs"]]
        if "after" not in self._parts:
            if self._wanted:
                warnings.warn(
                    f"the model's last nodes run on the host, and cannot: {self._why_not}. The results are those of the "
                    f"hardware, {', '.join(read)}",
                    stacklevel=3,
                )
            return results
        kept = {name: values for name, values in results.items() if name not in read}
        return {**kept, **self._run("after", results)}

    def _run(self, role: str, values: dict[str, Any]) -> dict[str, Any]:
        """Samples through a part of the model, without the batch axis of 1."""
        try:
            results = self._parts[role].run(values)
        except Exception as error:
            raise AcceleratorError(str(error)) from error
        return {name: array.reshape(len(array), *array.shape[2:]) for name, array in results.items()}


def _load(manifest: dict[str, Any], folder: Path) -> tuple[dict[str, HostPart], str]:
    """The parts by role, and why there are none although the manifest names some."""
    parts = {}
    for role, about in manifest.get("host", {}).items():
        path = folder / about["file"]
        if not path.is_file():
            raise AcceleratorError(f"there is no file {path}: copy the whole deploy folder again")
        check_hash(path, path.read_bytes(), about["sha256"])
        try:
            parts[role] = HostPart.read(path)
        except HostPartError as error:
            return {}, str(error)
    return parts, ""


def _is_of(x: Any, spec: dict[str, Any]) -> bool:
    """Whether an array is real samples of a tensor, or one sample."""
    array, shape = np.asarray(x), tuple(spec["shape"])
    return array.dtype.kind == "f" and shape[1:] in (array.shape, array.shape[1:])

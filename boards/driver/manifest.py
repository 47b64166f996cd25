"""The manifest of a design: its arguments, its tensors, its phases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AcceleratorError
from .number_formats import element_type


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Reads a manifest and checks that its parts agree.

    Returns:
        The manifest; each tensor also says its `element_bytes`, which follow from the size of a word.

    Raises:
        AcceleratorError: If it cannot be read or contradicts itself.
    """
    try:
        manifest: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AcceleratorError(f"cannot read manifest {path}: {error.strerror}") from error
    except ValueError as error:
        raise AcceleratorError(f"manifest {path} is not valid JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise AcceleratorError(f"manifest {path} holds no object, but {str(manifest)[:20]}")
    if manifest.get("format") != 1:
        raise AcceleratorError(
            f"manifest {path} has format {manifest.get('format')!r}, this driver knows format 1"
        )
    try:
        _check_manifest(manifest)
    except KeyError as error:
        raise AcceleratorError(f"manifest {path}: key {error} is missing") from error
    except AcceleratorError as error:
        raise AcceleratorError(f"manifest {path}: {error}") from error
    return manifest


def _check_manifest(manifest: dict[str, Any]) -> None:
    arguments = arguments_by_name(manifest)
    manifest["instance"], manifest["kernel"]
    for spec in (*manifest["inputs"], *manifest["outputs"], *manifest["taps"]):
        argument = arguments.get(spec["argument"], {})
        if argument.get("kind") != "pointer":
            raise AcceleratorError(
                f"tensor '{spec['tensor']}' names '{spec['argument']}', which is no pointer argument"
            )
        shape = list(spec["shape"])
        channels = shape[spec["channel_axis"]]
        words = int(np.prod(shape)) // shape[0] // channels * -(-channels // spec["lanes"])
        if words != spec["words"]:
            raise AcceleratorError(f"tensor '{spec['tensor']}' takes {words} words, not {spec['words']}")
        spec.setdefault("element_bytes", manifest["word_bytes"] // spec["lanes"])
        if (
            spec["lanes"] * spec["element_bytes"] != manifest["word_bytes"]
            or spec["element_bytes"] < element_type(spec["format"]).itemsize
        ):
            raise AcceleratorError(
                f"tensor '{spec['tensor']}': {spec['lanes']} lanes of {spec['format']['bits']} bits do not make a word "
                f"of {manifest['word_bytes']} bytes"
            )
        if (spec["word_offset"] + words) * manifest["word_bytes"] > argument["bytes"]:
            raise AcceleratorError(
                f"tensor '{spec['tensor']}' does not fit into argument '{spec['argument']}'"
            )
    if manifest["taps"] and "tap" not in arguments:
        raise AcceleratorError("there are taps, but no scalar argument 'tap' selects them")
    weights = manifest.get("weights")
    if weights and weights["argument"] not in arguments:
        raise AcceleratorError(f"the weights name '{weights['argument']}', which is no argument")


def arguments_by_name(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments of the kernel, in its order."""
    return {argument["name"]: argument for argument in manifest["arguments"]}


def inputs_by_name(values: Any, manifest: dict[str, Any]) -> dict[str, Any]:
    """The values of the inputs: a dict by tensor name, or for a design with one input its values alone.

    Raises:
        AcceleratorError: If an input is missing.
    """
    names = [spec["tensor"] for spec in manifest["inputs"]]
    if not isinstance(values, dict):
        if len(names) > 1:
            raise AcceleratorError(
                f"the design has the inputs {', '.join(names)}: give a dict by tensor name"
            )
        return {names[0]: values}
    missing = [name for name in names if name not in values]
    if missing:
        raise AcceleratorError(f"input '{missing[0]}' is missing; given: {', '.join(values) or 'none'}")
    return values


def tap_groups(manifest: dict[str, Any]) -> list[int]:
    """The tap groups: one launch writes the tensors of one group."""
    return sorted({spec["select"] for spec in manifest["taps"]})


def tapped(manifest: dict[str, Any], group: int) -> list[dict[str, Any]]:
    """The inner tensors of a tap group."""
    return [spec for spec in manifest["taps"] if spec["select"] == group]


def clock_hz(manifest: Mapping[str, Any]) -> float:
    """The clock of the design."""
    return float(manifest["clock_mhz"]) * 1e6


def samples_per_launch(manifest: Mapping[str, Any]) -> int:
    """How many samples a launch takes at most."""
    return int(manifest.get("batch", 1))


def expected_cycles(manifest: Mapping[str, Any], samples: int = 1) -> int:
    """Cycles that a launch of so many samples should take; 0 if they are unknown."""
    further = sum(phase.get("interval", phase["cycles"]) for phase in manifest.get("phases", []))
    return int(manifest.get("cycles", 0)) + (samples - 1) * int(further)


def expected_seconds(manifest: Mapping[str, Any], samples: int = 1) -> float:
    """How long the kernel should take for a launch of so many samples; 0 if its cycles are unknown."""
    return expected_cycles(manifest, samples) / clock_hz(manifest)

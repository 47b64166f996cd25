"""What a launch that did not end tells the user: the registers, the phase, and which tensors are not written."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from .errors import AcceleratorError, LaunchTimeoutError
from .kernel import Kernel
from .manifest import expected_seconds, samples_per_launch, tap_groups, tapped

# The diagnosis after a time-out loads the bitstream once per tap group; it begins no other group after so long.
DIAGNOSIS_S = 20.0
# A launch of the diagnosis may take this, or a hundred times what the schedule says.
DIAGNOSIS_LAUNCH_S = 1.0
NAMES_SHOWN = 4


def timeout_text(
    kernel: Kernel, stuck: LaunchTimeoutError, raw: dict[str, Any], tap: int, timeout_s: float
) -> str:
    """The message of a launch that did not end.

    Where loading the bitstream frees the kernel, a launch without taps is followed by a diagnosis of its sample; the kernel
    can be used again afterwards.

    Args:
        kernel: The kernel, which may still run.
        stuck: What the device said.
        raw: The raw integers of all samples, by input tensor.
        tap: The tap group of the launch, or 0.
        timeout_s: How long the launch was given.
    """
    manifest = kernel.manifest
    expected = expected_seconds(manifest, 1 if tap else samples_per_launch(manifest))
    text = f"{manifest['instance']} did not finish launch {kernel.launches + 1} in {timeout_s:g} s"
    text += f" (the schedule says {expected * 1e3:.3g} ms)" if expected else ""
    text += f". {stuck}"
    with contextlib.suppress(Exception):
        text += _phase_text(kernel)
    with contextlib.suppress(Exception):
        if tap:
            text += ". By what the taps show, " + _where(manifest, kernel.progress(_shown(manifest, tap)))
        elif tap_groups(manifest) and kernel.device.loading_frees_kernel:
            shapes = {spec["tensor"]: tuple(spec["shape"][1:]) for spec in manifest["inputs"]}
            sample = {name: np.asarray(raw[name]).reshape(-1, *shapes[name])[stuck.row] for name in shapes}
            found = diagnose(kernel, sample, timeout_s, DIAGNOSIS_S)
            text += f". Run once more on a freshly loaded bitstream, with taps: {found}"
    return text


def diagnose(kernel: Kernel, sample: dict[str, Any], timeout_s: float, within_s: float) -> str:
    """Says how far a stuck kernel gets with one sample.

    Every tap group is run on a freshly loaded bitstream, with a time limit; what the kernel has written by then
    shows where it stands. The bitstream is loaded once more at the end.

    Args:
        kernel: The kernel.
        sample: Raw integers by input tensor.
        timeout_s: A launch is given no longer than this.
        within_s: After so long no other group is begun.
    """
    manifest = kernel.manifest
    limit = min(timeout_s, max(DIAGNOSIS_LAUNCH_S, 100 * expected_seconds(manifest)))
    start = time.monotonic()
    done: dict[str, str] = {}
    finished = True
    for group in tap_groups(manifest):
        if time.monotonic() - start > within_s:
            break
        kernel.reload()
        try:
            kernel.run(sample, group, _shown(manifest, group), limit)
            done |= {spec["tensor"]: "complete" for spec in tapped(manifest, group)}
        except AcceleratorError:
            finished = False
            done |= kernel.progress(_shown(manifest, group))
    kernel.reload()
    if finished:
        return "every launch ended there: the hang depends on what runs before, or does not always come"
    return _where(manifest, done)


def _shown(manifest: dict[str, Any], group: int) -> list[dict[str, Any]]:
    """The tensors that a launch with a tap group writes."""
    return [*tapped(manifest, group), *manifest["outputs"]]


def _phase_text(kernel: Kernel) -> str:
    """What the phase register of a stuck kernel says, if it has one that can be read."""
    phases, phase = kernel.manifest.get("phases", []), kernel.phase()
    if phase is None or phase >= len(phases):
        return ""
    names = phases[phase].get("tasks") or phases[phase]["tensors"]
    shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
    return f". The phase register says phase {phase} of {len(phases)} ({shown})"


def _where(manifest: dict[str, Any], done: dict[str, str]) -> str:
    """The first phase with a tensor that is not written whole."""
    phases = manifest.get("phases") or [{"tensors": list(done)}]
    for number, phase in enumerate(phases):
        makers = [f"{task} makes " for task in phase.get("tasks", [])] or [""] * len(phase["tensors"])
        short = [
            (maker, name, done[name])
            for maker, name in zip(makers, phase["tensors"], strict=True)
            if done.get(name, "complete") != "complete"
        ]
        if short:
            written = ", ".join(f"{maker}'{name}' ({share} written)" for maker, name, share in short)
            return f"it stands in phase {number} of {len(phases)}: {written}"
    return f"all {len(done)} tensors that the taps show were written"

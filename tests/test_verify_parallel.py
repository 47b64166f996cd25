"""Verification with the samples shared between processes says what one process says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intarsia import verify
from intarsia.errors import IntarsiaError
from intarsia.verify.report import Report


def results(report: Report) -> dict[str, Any]:
    return report.to_json()


def test_two_processes_find_what_one_finds(lenet_project: Path, lenet_images: Path) -> None:
    alone = verify.run(lenet_project, lenet_images, board="none")
    seen: list[int] = []
    shared = verify.run(
        lenet_project, lenet_images, board="none", jobs=2, progress=lambda _, done, total: seen.append(done)
    )
    assert alone.passed
    assert results(shared) == results(alone)
    assert seen[-1] == shared.samples + shared.stress


def test_two_processes_find_the_same_fault(lenet_project: Path, lenet_images: Path) -> None:
    """Wrong weights in the binary that the C-simulation reads: both name the same layer and sample."""
    weights = next(lenet_project.rglob("weights.bin"))
    raw = np.fromfile(weights, np.int8)
    raw[len(raw) // 2 :: 97] ^= 0x15
    raw.tofile(weights)
    alone = verify.run(lenet_project, lenet_images, board="none")
    shared = verify.run(lenet_project, lenet_images, board="none", jobs=2)
    assert not alone.passed
    assert alone.first_divergence is not None
    assert results(shared) == results(alone)


def test_what_one_process_serves_is_refused(lenet_project: Path, tmp_path: Path) -> None:
    with pytest.raises(IntarsiaError, match="add --board none"):
        verify.run(lenet_project, jobs=2)
    with pytest.raises(IntarsiaError, match="do not go with --trace"):
        verify.run(lenet_project, board="none", jobs=2, record=tmp_path / "trace.npz")

"""The same sweep on a Dask cluster of two worker processes, one of which is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intarsia import verify
from intarsia.errors import IntarsiaError
from intarsia.explore.grid import Grid
from intarsia.explore.jobs import Job, Result
from intarsia.explore.journal import NAME
from intarsia.explore.sources import Sources
from intarsia.explore.sweep import explore_model
from intarsia.parallel import cluster

distributed = pytest.importorskip("distributed", reason="pip install 'intarsia[explore]'")

GRID = Grid(boards=("pynq-z2",), bits=((8, 8), (16, 16)), lanes=(8,), budgets=(60.0, 80.0, 100.0))
JOBS = 2 * 3 * 3 + 2


@pytest.fixture(scope="module")
def local_cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as made:
        yield made


def test_a_killed_worker_loses_nothing(
    local_cluster: Any, lenet_model: Path, lenet_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, killed = cluster.run, []

    def run(work: Any, sources: Sources, jobs: list[Job], address: str) -> Iterator[Result]:
        for number, result in enumerate(real(work, sources, jobs, address)):
            yield result
            if number == 2:
                victim = next(iter(local_cluster.workers.values())).pid
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    monkeypatch.setattr(cluster, "run", run)
    there = explore_model(
        lenet_model, tmp_path / "there", GRID, samples=lenet_images, address=local_cluster.scheduler_address
    )
    assert killed
    keys = [json.loads(line)["key"] for line in (tmp_path / "there" / NAME).read_text().splitlines()[1:]]
    assert len(keys) == len(set(keys)) == JOBS
    here = explore_model(lenet_model, tmp_path / "here", GRID, samples=lenet_images)
    assert [p.number for p in there.front] == [p.number for p in here.front]
    for name in ("points.json", "points.csv", "front.svg", "index.html"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_no_scheduler(lenet_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", "1s")
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(IntarsiaError, match="cannot reach a Dask scheduler"):
            explore_model(lenet_model, tmp_path / "sweep", GRID, address=address)


def test_no_worker(lenet_model: Path, tmp_path: Path) -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1") as empty,
        pytest.raises(IntarsiaError, match="has no workers"),
    ):
        explore_model(lenet_model, tmp_path / "sweep", GRID, address=empty.scheduler_address)


def test_verify_on_the_cluster(local_cluster: Any, compiled_lenet: Path, lenet_images: Path) -> None:
    here = verify.run(compiled_lenet, lenet_images, board="none")
    there = verify.run(compiled_lenet, lenet_images, board="none", address=local_cluster.scheduler_address)
    assert there.passed
    assert there.to_json() == here.to_json()

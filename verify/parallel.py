"""Many samples in several processes, or on a Dask cluster: batches are independent, and their findings merge exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from intarsia.errors import IntarsiaError
from intarsia.graph_file import load_graph
from intarsia.parallel import cluster, processes
from intarsia.task_graph import TaskGraph

from .examine import examine
from .findings import Batch, Findings
from .project_worlds import NONE, open_worlds
from .runner import fault_of
from .worlds import Worlds


@dataclass(frozen=True)
class SharedProject:
    """A project that every process sees at the same path; without a board, which serves one process only."""

    directory: Path
    digest: str


@dataclass(frozen=True, eq=False)
class Part:
    """A batch to examine."""

    number: int
    batch: Batch

    @property
    def key(self) -> str:
        """Unique in a verification."""
        return f"batch {self.number}"


@dataclass(frozen=True, eq=False)
class Found:
    """What a batch has shown, and the fault that the program complained of, if any."""

    number: int
    findings: Findings
    fault: str

    @property
    def key(self) -> str:
        """The batch's."""
        return f"batch {self.number}"


def findings(
    directory: Path,
    batches: Iterable[Batch],
    jobs: int,
    address: str | None,
    progress: Callable[[int], None],
) -> tuple[Findings, str]:
    """Findings of all batches, merged in their order, and the first fault of the program or an empty text.

    Args:
        directory: the project.
        batches: samples, numbered in order.
        jobs: processes on this machine.
        address: of a Dask scheduler whose workers see the project at the same path; it takes the place of `jobs`.
        progress: called with the number of samples done, after each batch.
    """
    content = (directory / "deploy" / "manifest.json").read_bytes()
    project = SharedProject(directory.resolve(), hashlib.sha256(content).hexdigest())
    parts = [Part(number, batch) for number, batch in enumerate(batches)]
    done: dict[int, Found] = {}
    samples = 0
    results = (
        cluster.run(find, project, parts, address) if address else processes.run(find, project, parts, jobs)
    )
    for found in results:
        done[found.number] = found
        samples += parts[found.number].batch.samples
        progress(samples)
    ordered = [done[part.number] for part in parts]
    merged = Findings()
    for found in ordered:
        merged = merged.merge(found.findings)
    return merged, next((found.fault for found in ordered if found.fault), "")


def find(project: SharedProject, part: Part) -> Found:
    """Examine a batch, in whatever process."""
    graph, worlds = _opened(project)
    shown = examine(graph, worlds, part.batch, None)
    return Found(part.number, shown, fault_of(worlds.csim))


@lru_cache(maxsize=1)
def _opened(project: SharedProject) -> tuple[TaskGraph, Worlds]:
    if not project.directory.is_dir():
        raise IntarsiaError(
            f"a worker does not see {project.directory}: put the project on a file system that all share"
        )
    graph = load_graph(project.directory / "golden.npz")
    return graph, open_worlds(project.directory, graph, NONE, ExitStack())

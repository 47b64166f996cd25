"""Jobs on this machine: in this process, or in several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from ..errors import IntarsiaError
from .jobs import Job, Result, do
from .sources import Sources

MOST_DEATHS = 3
"""Times that the workers may die before the sweep gives up."""

_sources: Sources | None = None
"""In a worker process: what it was started with."""


def run(sources: Sources, jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """Results as they come; in order, and without any other process, if `processes` is 1.

    Raises:
        IntarsiaError: worker processes die again and again.
    """
    if processes == 1:
        yield from (do(sources, job) for job in jobs)
        return
    left = {job.key: job for job in jobs}
    deaths = 0
    while left:
        try:
            for result in _pool(sources, list(left.values()), processes):
                del left[result.key]
                yield result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths == MOST_DEATHS:
                raise IntarsiaError(
                    f"worker processes died {MOST_DEATHS} times, perhaps for want of memory. What was found so far is "
                    "kept: give the same command again, with fewer --jobs"
                ) from error


def _pool(sources: Sources, jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    # A fresh interpreter: a fork of a process with ONNX Runtime's threads could lock up.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, _begin, (sources,))
    try:
        futures: list[Future[Result]] = [pool.submit(_do, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(sources: Sources) -> None:
    global _sources
    _sources = sources


def _do(job: Job) -> Result:
    assert _sources is not None
    return do(_sources, job)

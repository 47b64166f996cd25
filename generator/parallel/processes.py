"""Jobs on this machine: in this process, or in several."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..errors import IntarsiaError
from .work import AGAIN, JobT, ResultT, SharedT, Work

MOST_DEATHS = 3
"""Times that the workers may die before it is given up."""

_shared: Any = None
"""In a worker process: what it was started with."""


def run(
    work: Work[SharedT, JobT, ResultT], shared: SharedT, jobs: Sequence[JobT], processes: int
) -> Iterator[ResultT]:
    """Results as they come; in order, and without any other process, if `processes` is 1.

    Raises:
        IntarsiaError: worker processes die again and again.
    """
    if processes == 1:
        yield from (work(shared, job) for job in jobs)
        return
    left = {job.key: job for job in jobs}
    deaths = 0
    while left:
        try:
            for result in _pool(work, shared, list(left.values()), processes):
                del left[result.key]
                yield result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths == MOST_DEATHS:
                raise IntarsiaError(
                    f"worker processes died {MOST_DEATHS} times, perhaps for want of memory. Use fewer --jobs. {AGAIN}"
                ) from error


def _pool(
    work: Work[SharedT, JobT, ResultT], shared: SharedT, jobs: Sequence[JobT], processes: int
) -> Iterator[ResultT]:
    # A fresh interpreter: a fork of a process with ONNX Runtime's threads could lock up.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, _begin, (shared,))
    try:
        futures = [pool.submit(_do, work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(shared: SharedT) -> None:
    global _shared
    _shared = shared
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes nothing that its workers wait for: they would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(work: Work[SharedT, JobT, ResultT], job: JobT) -> ResultT:
    return work(_shared, job)

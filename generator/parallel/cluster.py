"""Jobs on a Dask cluster."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import IntarsiaError
from .work import AGAIN, JobT, ResultT, SharedT, Work

PATIENCE = "10s"
"""How long to wait for the scheduler."""

RETRIES = 2
"""Times that a job is given to another worker after an error that is not the job's own."""


def run(
    work: Work[SharedT, JobT, ResultT], shared: SharedT, jobs: Sequence[JobT], address: str
) -> Iterator[ResultT]:
    """Results as they come. A job whose worker dies goes to another; no result comes twice.

    Args:
        work: what to do with each job.
        shared: sent to the cluster once; each worker unpacks and keeps it.
        jobs: what to do.
        address: of the Dask scheduler, such as `tcp://host:8786`.

    Raises:
        IntarsiaError: the extra is not installed, the cluster cannot be reached, or it is lost.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise IntarsiaError("--cluster needs Dask: pip install 'intarsia[explore]'") from error
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:  # a wrong address raises ValueError, a silent one OSError or TimeoutError, ...
        raise IntarsiaError(
            f"cannot reach a Dask scheduler at {address!r}: {_first_line(error)}. Start one with `dask scheduler` and "
            "workers with `dask worker ADDRESS`, or leave --cluster out"
        ) from error
    try:
        if not client.nthreads():
            raise IntarsiaError(
                f"the Dask cluster at {address} has no workers. Start one: dask worker {address}"
            )
        # A task, not scattered data: if all workers that hold it die, the scheduler makes it again.
        packed = client.submit(
            pickle.loads, pickle.dumps(shared), key=f"intarsia-shared-{shared.digest}", retries=RETRIES
        )
        futures = [
            client.submit(work, packed, job, key=f"intarsia-{shared.digest}-{job.key}", retries=RETRIES)
            for job in jobs
        ]
        try:
            yield from _results(as_completed(futures, loop=client.loop))
        finally:
            client.cancel([future for future in futures if not future.done()])
    finally:
        client.close()


def _results(completed: Any) -> Iterator[Any]:
    for future in completed:
        try:
            result = future.result()
        except ImportError as error:
            raise IntarsiaError(
                f"a Dask worker cannot import what it needs ({error}). Install the same intarsia on all workers"
            ) from error
        except IntarsiaError:
            raise
        except Exception as error:
            raise IntarsiaError(f"the Dask cluster failed: {_first_line(error)}. {AGAIN}") from error
        yield result
        future.release()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:300]

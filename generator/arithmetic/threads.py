"""Several blocks of work in threads of our own: NumPy lets go of Python's lock in all that takes long.

BLAS has one thread meanwhile. Several of them wait for one another in every matrix product, which takes many times as long
where other programs keep the processors busy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from threading import local
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")

_thread = local()


def on_all_processors(work: Callable[[Part], None], parts: Sequence[Part], fewest: int = 2) -> None:
    """`work` on every part, in any order. The first exception is passed on.

    One after the other where there are fewer parts than are worth the start of threads, and within such work.
    """
    if processors() < 2 or len(parts) < fewest or getattr(_thread, "working", False):
        for part in parts:
            work(part)
        return
    with one_blas_thread(), ThreadPoolExecutor(processors(), initializer=_begin_work) as pool:
        list(pool.map(work, parts))


def processors() -> int:
    """As many as this process may use."""
    return len(os.sched_getaffinity(0))


def one_blas_thread() -> AbstractContextManager[Any]:
    """While it is open, BLAS has one thread in this process."""
    limit: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _begin_work() -> None:
    _thread.working = True

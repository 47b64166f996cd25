"""Several blocks of work in threads of our own: NumPy lets go of Python's lock in all that takes long."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")


def on_all_processors(work: Callable[[Part], None], parts: Sequence[Part]) -> None:
    """`work` on every part, in any order. The first exception is passed on.

    BLAS then has one thread only: several wait for one another in every matrix product, which takes many times as long where
    other programs keep the processors busy. A single part is left to BLAS's own threads.
    """
    if len(parts) < 2:
        for part in parts:
            work(part)
        return
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(_processors()) as pool:
        list(pool.map(work, parts))


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _processors() -> int:
    return len(os.sched_getaffinity(0))

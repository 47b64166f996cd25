"""What work is made of: a function of something that all jobs share and of a job, for which any process will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar


class Shared(Protocol):
    """What all jobs need; sent to each process once. `digest` stands for its content."""

    @property
    def digest(self) -> str:
        """Hexadecimal digits."""


class Keyed(Protocol):
    """A job, or its result, which has the job's key."""

    @property
    def key(self) -> str:
        """Unique among the jobs."""


SharedT = TypeVar("SharedT", bound=Shared)
JobT = TypeVar("JobT", bound=Keyed)
ResultT = TypeVar("ResultT", bound=Keyed)
Work = Callable[[SharedT, JobT], ResultT]
"""A function of a module, so that another process finds it by name."""

AGAIN = "What was found so far is kept: give the same command again"

"""The journal of a sweep: one line of JSON per result, so that an interrupted sweep goes on where it was.

A line is appended by one write and flushed to the disk before the next. What a crash or a full disk leaves of a line has
no newline at its end, and is cut off when the journal is opened again.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import IntarsiaError
from .jobs import Result

NAME = "journal.jsonl"


class JournalError(IntarsiaError):
    """The journal cannot be read or written, or belongs to another sweep."""


class Journal:
    """An open journal; `results` are those it holds, by key."""

    def __init__(self, directory: Path, identity: dict[str, str]) -> None:
        """Opens or begins the journal of a directory.

        Args:
            directory: where the sweep's files go; made if it is missing.
            identity: what all results depend on.

        Raises:
            JournalError: the directory cannot be written, is in use, or holds the journal of another sweep.
        """
        self.path = directory / NAME
        self.results: dict[str, Result] = {}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise JournalError(
                f"cannot write {self.path}: {error.strerror}. Choose another directory with -o"
            ) from error
        try:
            self._lock()
            self._read(identity)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, result: Result) -> None:
        """Keeps a result; one that is there already stays as it is.

        Raises:
            JournalError: it cannot be written, for example because the disk is full.
        """
        if result.key not in self.results:
            self._write(json.dumps(asdict(result)))
            self.results[result.key] = result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(
                f"another `intarsia explore` is at work in {self.path.parent}: wait for it, or choose another directory"
            ) from error

    def _read(self, identity: dict[str, str]) -> None:
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.ftruncate(self._file, whole)
        lines = text[:whole].splitlines()
        if not lines:
            self._write(json.dumps({"sweep": identity}))
            return
        try:
            found = json.loads(lines[0])["sweep"]
            results = [Result(**json.loads(line)) for line in lines[1:]]
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError(
                f"{self.path} is no journal of a sweep, or is damaged. Remove it, or choose another directory with -o"
            ) from error
        if found != identity:
            what = ", ".join(name for name in identity if found.get(name) != identity[name])
            raise JournalError(
                f"{self.path.parent} holds a sweep with another {what}. Choose another directory with -o, or remove it"
            )
        self.results = {result.key: result for result in results}

    def _write(self, line: str) -> None:
        data = line.encode() + b"\n"
        try:
            written = os.write(self._file, data)
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritten(error.strerror or "unknown error") from error
        if written < len(data):
            raise self._unwritten("the disk is full")

    def _unwritten(self, why: str) -> JournalError:
        return JournalError(
            f"cannot write {self.path}: {why}. What was found so far is kept: make room, and give the same command again"
        )

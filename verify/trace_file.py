"""Traces as .npz files: one array of raw integers per tensor, of shape (samples, *tensor shape without the batch axis).

This is what the driver of a project writes (`accelerator.py --taps`), so that a board in another room is enough. Files
are read and written a few samples at a time: memory does not grow with their number.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from intarsia.boards.driver.number_formats import element_type
from intarsia.errors import IntarsiaError
from intarsia.fixed_point import FixedPoint
from intarsia.operator import Array
from intarsia.task_graph import TaskGraph

ABOUT = "intarsia trace"
"""Member of the archive that says, as JSON in bytes, where the trace comes from; files of other makers have none."""
CHUNK = 1 << 20


class TraceError(IntarsiaError):
    """A trace file cannot be read, or does not belong to the project; says nothing about whether its maker is right."""


@dataclass(frozen=True)
class About:
    """Where a recorded trace comes from: the world, its weights, and how many of the samples are no stress vectors."""

    world: str = ""
    weights: str = ""
    samples: int = 0


@dataclass(frozen=True)
class _Member:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class TraceFile:
    """A trace to read from front to back."""

    def __init__(self, path: Path, graph: TaskGraph, tapped: frozenset[str] = frozenset()) -> None:
        """Read what the file holds, and check that it belongs to the graph.

        Args:
            path: the .npz file.
            graph: the quantised task graph.
            tapped: tensors that the hardware shows beside the outputs: the file has all of them, or none.

        Raises:
            TraceError: the file is no .npz file, or its tensors, shapes or types are not the graph's.
        """
        self.path = path
        self._graph = graph
        self._streams: dict[str, IO[bytes]] = {}
        if not path.is_file():
            raise TraceError(f"there is no trace file {path}")
        try:
            self._archive = zipfile.ZipFile(path)
            self._members = {
                name.removesuffix(".npy"): self._header(name) for name in self._archive.namelist()
            }
            self.about = self._about()
        except TraceError:
            raise
        except Exception as error:  # a damaged archive raises almost anything
            raise TraceError(
                f"{path} is no .npz file, or is damaged ({error}). The driver writes one: accelerator.py --taps --outputs "
                f"{path.name} ..."
            ) from error
        self.samples = self._checked(tapped)
        self.done = 0

    @property
    def inputs(self) -> bool:
        """True if the file holds the inputs of the graph."""
        return all(name in self._members for name in self._graph.inputs)

    def close(self) -> None:
        """Close the file."""
        for stream in self._streams.values():
            stream.close()
        self._archive.close()

    def read(self, samples: int) -> dict[str, Array]:
        """The next samples: raw integers (int64) by tensor, of shape (samples, *tensor shape).

        Raises:
            TraceError: there are not so many, the file is damaged, or a value is outside its tensor's format.
        """
        if self.done + samples > self.samples:
            raise TraceError(
                f"{self.path} holds {self.samples} samples, and more were run. Verify with the inputs that it was made from"
            )
        result = {}
        for name, member in self._members.items():
            if name == ABOUT:
                continue
            tensor = self._graph.tensors[name]
            count = samples * prod(tensor.shape)
            try:
                content = self._stream(name).read(count * member.dtype.itemsize)
            except Exception as error:  # zlib, zipfile
                raise TraceError(f"{self.path} is damaged at tensor {name!r}: {error}") from error
            if len(content) != count * member.dtype.itemsize:
                raise TraceError(f"{self.path} is cut short at tensor {name!r}")
            values = np.frombuffer(content, member.dtype).astype(np.int64).reshape(samples, *tensor.shape)
            _check_range(self.path, name, values, tensor.number)
            result[name] = values
        self.done += samples
        return result

    def _header(self, name: str) -> _Member:
        with self._archive.open(name) as stream:
            shape, fortran, dtype = _read_header(stream)
        if fortran and len(shape) > 1:
            raise TraceError(
                f"{self.path}: tensor {name.removesuffix('.npy')!r} is in Fortran order: save numpy.ascontiguousarray(array)"
            )
        return _Member(dtype, shape)

    def _stream(self, name: str) -> IO[bytes]:
        if name not in self._streams:
            self._streams[name] = self._archive.open(f"{name}.npy")
            _read_header(self._streams[name])
        return self._streams[name]

    def _about(self) -> About:
        if ABOUT not in self._members:
            return About()
        stream = self._stream(ABOUT)
        return About(**json.loads(stream.read(CHUNK)))

    def _checked(self, tapped: frozenset[str]) -> int:
        """Number of samples, if every tensor is one of the graph's and has its shape."""
        names = [name for name in self._members if name != ABOUT]
        known = self._graph.tensors
        if unknown := [name for name in names if name not in known]:
            raise TraceError(
                f"{self.path} holds tensor {unknown[0]!r}, which the project does not have: is it of another design? The "
                f"project's tensors are {', '.join(known)}"
            )
        missing = [name for name in self._graph.outputs if name not in names]
        shown = tapped & set(names)
        if shown - set(self._graph.outputs):
            missing += sorted(tapped - set(names) - set(missing))
        if missing:
            raise TraceError(
                f"{self.path} lacks tensor {missing[0]!r}. It must hold the outputs of the model, and either every tapped "
                "tensor or none (driver: --taps)"
            )
        counts = {}
        for name in names:
            member, shape = self._members[name], known[name].shape
            if member.dtype.kind not in "iu":
                raise TraceError(
                    f"{self.path}: tensor {name!r} is {member.dtype}; raw integers are wanted, of {known[name].number}"
                )
            if member.shape[1:] not in (shape, shape[1:]) or not member.shape:
                wanted = ", ".join(["samples", *map(str, shape[1:])])
                raise TraceError(
                    f"{self.path}: tensor {name!r} has shape {member.shape}, it must be ({wanted})"
                )
            counts[name] = member.shape[0]
        if len(set(counts.values())) > 1:
            raise TraceError(f"{self.path}: the tensors have different numbers of samples: {counts}")
        if not (samples := next(iter(counts.values()))):
            raise TraceError(f"{self.path} holds no samples")
        return samples


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of an .npy member; the stream is then at its first element."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _check_range(path: Path, name: str, values: Array, number: FixedPoint) -> None:
    low, high = int(values.min()), int(values.max())
    if low < number.minimum or high > number.maximum:
        raise TraceError(
            f"{path}: tensor {name!r} holds values from {low} to {high}; its format {number} allows {number.minimum} to "
            f"{number.maximum}. Raw integers are wanted, in the byte order that the array says"
        )


class TraceWriter:
    """Writes a trace batch by batch; the file appears complete, by `close`, or not at all."""

    def __init__(self, path: Path, graph: TaskGraph) -> None:
        """Begin a trace of a graph.

        Raises:
            TraceError: the folder cannot be written to.
        """
        self.path = path
        self._graph = graph
        self.samples = 0
        self._files: dict[str, IO[bytes]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent)
        except OSError as error:
            raise TraceError(f"cannot write {path}: {error.strerror}") from error

    def add(self, tensors: Mapping[str, Array]) -> None:
        """Append samples: raw integers of shape (samples, *tensor shape) for the same tensors every time.

        Raises:
            TraceError: a tensor has another shape than the graph's, or other tensors are given than before.
        """
        samples = len(next(iter(tensors.values())))
        if self._files and self._files.keys() != tensors.keys():
            raise TraceError(f"cannot record {self.path}: the world shows other tensors than before")
        for name, values in tensors.items():
            tensor = self._graph.tensors[name]
            if values.shape != (samples, *tensor.shape):
                raise TraceError(
                    f"cannot record {self.path}: tensor {name!r} came with shape {values.shape}, not "
                    f"{(samples, *tensor.shape)}"
                )
            if name not in self._files:
                self._files[name] = (Path(self._folder.name) / str(len(self._files))).open("w+b")
            self._files[name].write(values.astype(_container(tensor.number)).tobytes())
        self.samples += samples

    def discard(self) -> None:
        """Write nothing."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._folder.cleanup()

    def close(self, about: About) -> None:
        """Write the file.

        Raises:
            TraceError: the disk does not take it.
        """
        draft = Path(self._folder.name) / "trace.npz"
        try:
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                text = np.frombuffer(json.dumps(vars(about)).encode(), np.uint8)
                with archive.open(f"{ABOUT}.npy", "w") as member:
                    np.lib.format.write_array(member, text, allow_pickle=False)
                for name, file in self._files.items():
                    self._copy(archive, name, file)
            draft.replace(self.path)
        except OSError as error:
            raise TraceError(f"cannot write {self.path}: {error.strerror}") from error
        finally:
            self.discard()

    def _copy(self, archive: zipfile.ZipFile, name: str, file: IO[bytes]) -> None:
        tensor = self._graph.tensors[name]
        header = {
            "descr": np.lib.format.dtype_to_descr(_container(tensor.number)),
            "fortran_order": False,
            "shape": (self.samples, *tensor.shape[1:]),
        }
        file.seek(0)
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in iter(lambda: file.read(CHUNK), b""):
                member.write(block)


@contextlib.contextmanager
def writing(path: Path | None, graph: TaskGraph) -> Iterator[TraceWriter | None]:
    """A writer that leaves nothing behind unless it was closed; None for no path."""
    writer = TraceWriter(path, graph) if path else None
    try:
        yield writer
    finally:
        if writer:
            writer.discard()


def _container(number: FixedPoint) -> np.dtype[Any]:
    return element_type({"bits": number.bits, "signed": number.signed})

"""Where the inputs of a verification come from, in batches that fit in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from intarsia.samples import Samples
from intarsia.task_graph import TaskGraph

from .findings import Batch
from .runner import Array
from .stimuli import NAMES, stress
from .trace_file import ABOUT, TraceError, TraceFile

BATCH_SAMPLES = 50
BATCH_ELEMENTS = 1 << 23
"""Elements of all tensors per batch and world: bounds memory whatever the model."""


@dataclass(frozen=True)
class Source:
    """Inputs that can be gone through more than once; `total` counts samples and stress vectors."""

    total: int
    batches: Callable[[], Iterator[Batch]]
    notes: tuple[str, ...] = ()


def sample_source(
    graph: TaskGraph, loaded: Samples, limit: int | None, trace: TraceFile | None = None
) -> Source:
    """Samples, then the stress vectors; without these if a recorded trace has just as many entries as there are samples.

    Raises:
        TraceError: the recorded trace has another number of samples.
    """
    count = min(loaded.count, limit or loaded.count)
    values = {name: array[:count] for name, array in loaded.arrays.items()}
    labels = None if loaded.labels is None else loaded.labels[:count]
    vectors = len(NAMES)
    if trace and not limit:
        if trace.samples not in (count, count + vectors):
            raise TraceError(
                f"{trace.path} holds {trace.samples} samples; the inputs are {count}, or {count + vectors} with stress "
                "vectors. Give the inputs that it was made from with --inputs"
            )
        vectors = trace.samples - count
    elif trace:
        vectors = 0
    return Source(
        count + vectors, lambda: batches(graph, values, labels, stress_vectors=bool(vectors)), loaded.notes
    )


def recorded_source(path: Path, graph: TaskGraph, limit: int | None) -> Source:
    """The inputs that a recorded trace holds; those beyond its real samples count as stress vectors.

    Raises:
        TraceError: the file is no trace of the graph, or lacks the inputs.
    """
    file = TraceFile(path, graph)
    try:
        if not file.inputs:
            raise TraceError(f"{path} does not hold the inputs ({', '.join(graph.inputs)}) of its trace")
        total, real = min(file.samples, limit or file.samples), file.about.samples
    finally:
        file.close()

    def read() -> Iterator[Batch]:
        file = TraceFile(path, graph)
        try:
            yield from _recorded_batches(file, graph, total, min(real, total))
        finally:
            file.close()

    return Source(total, read)


def _recorded_batches(file: TraceFile, graph: TaskGraph, total: int, real: int) -> Iterator[Batch]:
    size = batch_size(graph)
    names = NAMES if file.samples - file.about.samples == len(NAMES) else ()
    while file.done < total:
        first = file.done
        found = file.read(min(size, (real if first < real else total) - first))
        raw = {name: found[name] for name in graph.inputs}
        if first < real:
            yield Batch(
                raw,
                {name: graph.tensors[name].number.dequantise(value) for name, value in raw.items()},
                first_sample=first,
            )
        else:
            part = tuple(f"stress vector {name!r}" for name in names[first - real : file.done - real])
            yield Batch(raw, first_sample=first, names=part)


def is_trace(path: Path | str) -> bool:
    """True if a file says that it is a recorded trace."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{ABOUT}.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def batch_size(graph: TaskGraph) -> int:
    """Samples per batch."""
    elements = sum(prod(tensor.shape) for tensor in graph.tensors.values())
    return max(1, min(BATCH_SAMPLES, BATCH_ELEMENTS // elements))


def batches(
    graph: TaskGraph, values: Mapping[str, Array], labels: Array | None, stress_vectors: bool = True
) -> Iterator[Batch]:
    """The samples in batches that fit in memory, then the stress vectors."""
    size = batch_size(graph)
    count = len(next(iter(values.values()), ()))
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        yield Batch(
            raw={name: graph.tensors[name].number.quantise(value[part]) for name, value in values.items()},
            real={name: value[part] for name, value in values.items()},
            labels=None if labels is None else labels[part],
            first_sample=start,
        )
    vectors = stress(graph.tensors[name] for name in graph.inputs)
    for start in range(0, len(NAMES) if stress_vectors else 0, size):
        part = slice(start, start + size)
        names = tuple(f"stress vector {name!r}" for name in NAMES[part])
        yield Batch(
            {name: raw[part] for name, raw in vectors.items()}, first_sample=count + start, names=names
        )

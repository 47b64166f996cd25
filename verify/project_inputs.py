"""The inputs that a project is verified with."""

from __future__ import annotations

from pathlib import Path

from intarsia.boards.driver.host_part import HostPart, HostPartError
from intarsia.design import HOST_BEFORE
from intarsia.errors import IntarsiaError
from intarsia.host import samples as host_samples
from intarsia.samples import Preprocess, Samples
from intarsia.task_graph import TaskGraph

from .project_files import read_json
from .source import Source, is_trace, recorded_source, sample_source
from .trace_file import TraceFile


def source_of(
    project: Path,
    graph: TaskGraph,
    inputs: Path | str | Samples | None,
    limit: int | None,
    trace: TraceFile | None,
) -> Source:
    """Inputs of a file or an object, of the trace that stands for the board, or the project's own samples.

    Raises:
        IntarsiaError: they cannot be read, or do not fit the graph's inputs.
    """
    if isinstance(inputs, Samples):
        return sample_source(graph, inputs, limit, trace)
    if inputs is not None and is_trace(inputs):
        return recorded_source(Path(inputs), graph, limit)
    if inputs is None and trace and trace.inputs:
        return recorded_source(trace.path, graph, limit)
    return sample_source(graph, _samples(project, graph, inputs), limit, trace)


def _samples(project: Path, graph: TaskGraph, inputs: Path | str | None) -> Samples:
    tensors = tuple(graph.tensors[name] for name in graph.inputs)
    options = read_json(project / "design.json").get("preprocess", {})
    path = Path(inputs) if inputs is not None else project / "samples.npz"
    own = tuple(tuple(one) for one in options.pop("integers", ()))
    try:
        host = HostPart.read(before) if (before := project / "deploy" / HOST_BEFORE).is_file() else None
    except HostPartError as error:
        raise IntarsiaError(str(error)) from error
    return host_samples.load(path, tensors, host, Preprocess(**options, integers=own))[0]

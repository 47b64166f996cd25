"""An independent word on the float world: its own layers, one by one, in float64.

The layers are those of the task graph before quantisation, made of the project's float.onnx by import and passes. Each
gets the inputs that it had in the float world, so what is left is the rounding of that world's arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intarsia import passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.golden import run_float_task
from intarsia.task_graph import TaskGraph

from .runner import Array


@dataclass(frozen=True, eq=False)
class FloatReference:
    """Float tasks whose tensors have the names of the quantised graph's."""

    graph: TaskGraph

    def isolated(self, real: Mapping[str, Array]) -> dict[str, Array]:
        """What each task makes of its inputs in a float trace, real arrays of shape (samples, *tensor shape).

        A tensor that the trace does not show is computed from the nearest that it does show.
        """
        known = {name: np.asarray(values, np.float64) for name, values in real.items()}
        result: dict[str, Array] = {}
        samples = len(next(iter(known.values())))
        for task in self.graph.tasks:
            made = run_float_task(task, [known[name] for name in task.inputs])
            result[task.output] = made if task.inputs else np.repeat(made, samples, axis=0)
            known.setdefault(task.output, result[task.output])
        return result


def float_reference(project: Path, graph: TaskGraph) -> FloatReference | None:
    """The float tasks of a project; None for a model that came quantised, whose float world rounds between its layers.

    None, too, if the file is not what the project was compiled from; its changed SHA-256 is told elsewhere.
    """
    try:
        tasks = passes.run(import_model(project / "float.onnx").graph)
    except IntarsiaError:
        return None
    same = tasks.inputs == graph.inputs and all(
        task.output in graph.tensors and tasks.tensors[task.output].shape == graph.tensors[task.output].shape
        for task in tasks.tasks
    )
    rounded = any(tensor.format is not None for tensor in tasks.tensors.values())
    return FloatReference(tasks) if same and not rounded else None

"""Let a Softmax do what comes before it: a factor goes into its exponentials, a mask into its row lengths.

A summand that is the same for a whole row changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import IntarsiaError
from ..ops.affine import Affine
from ..ops.mask import Mask
from ..ops.rows import to_rows
from ..ops.softmax import Softmax
from ..task_graph import UNBOUNDED, Task, TaskGraph, Tensor
from .draft import Draft


def apply(graph: TaskGraph) -> TaskGraph:
    """Absorb until something else comes before every Softmax.

    Raises:
        IntarsiaError: a mask is neither causal nor the same for all rows.
    """
    draft = Draft(graph)
    for task in graph.tasks:
        softmax: Task | None = task
        while softmax is not None and isinstance(softmax.operator, Softmax):
            softmax = _absorb(draft, softmax)
    return draft.graph()


def _absorb(draft: Draft, softmax: Task) -> Task | None:
    """The Softmax that does what the task before it did; None if that is something else."""
    before = draft.exclusive_producer(softmax)
    operator = softmax.operator
    assert isinstance(operator, Softmax)
    if before is None or before.clamp != UNBOUNDED:
        return None
    if isinstance(before.operator, Affine) and not operator.log:
        scales, shifts = before.values["scale"], before.values["shift"]
        if np.unique(scales).size == np.unique(shifts).size == 1 and scales[0] > 0:
            merged = replace(operator, scale=operator.scale * float(scales[0]))
            return draft.merge_into_reader(before, softmax, replace(softmax, operator=merged))
    if isinstance(before.operator, Mask) and operator.period == 0:
        merged = _masked(operator, before, draft.tensors[softmax.output])
        return draft.merge_into_reader(before, softmax, replace(softmax, operator=merged))
    return None


def _masked(softmax: Softmax, mask: Task, scores: Tensor) -> Softmax:
    kept = np.broadcast_to(mask.values["kept"] != 0, scores.shape)
    rows = to_rows(kept[np.newaxis], softmax.axis)
    limits = rows.sum(axis=1)
    prefix = np.arange(softmax.channels) < limits[:, np.newaxis]
    if (rows == prefix).all() and limits.all():
        if (limits == softmax.channels).all():
            return softmax
        positions = next(
            size for axis, size in reversed(list(enumerate(scores.shape))) if axis != softmax.axis
        )
        for period in (positions, 1):  # causal, or the same elements for every row
            masked = replace(softmax, period=period, first=int(limits[0]))
            if (limits == masked.limits(np.empty((1, *scores.shape)))).all():
                return masked
    nodes = " + ".join(map(repr, mask.onnx_nodes))
    raise IntarsiaError(
        f"node {nodes}: its mask of shape {mask.values['kept'].shape} is neither causal nor the same for all rows. Supported: "
        "row r of the scores sees the first r + n elements, or every row the first n, for one n of at least 1"
    )

"""How good the integers are: accuracy and noise of the golden on the samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np

from .. import golden
from ..fixed_point import Floats
from ..task_graph import TaskGraph
from .sources import Sources

BATCH = 64
LIMIT_DB = 200.0
"""Signal-to-noise ratios are clipped to this; it means no noise at all."""


@dataclass(frozen=True)
class Quality:
    """What quantisation costs.

    Attributes:
        samples: how many were run.
        sqnr_db: signal to quantisation-noise ratio of the graph's outputs against the float model.
        accuracy: share of samples whose largest output is that of their label; None without labels.
        float_accuracy: the same of the float model.
    """

    samples: int
    sqnr_db: float
    accuracy: float | None
    float_accuracy: float | None

    @property
    def merit(self) -> float:
        """What the front compares: accuracy if there are labels, else the noise ratio."""
        return self.sqnr_db if self.accuracy is None else self.accuracy


def measure(sources: Sources, graph: TaskGraph) -> Quality:
    """Runs the golden on all samples of a sweep.

    Args:
        sources: samples, labels and the float model's outputs.
        graph: the quantised graph.
    """
    count = len(sources.samples[graph.inputs[0]])
    parts: dict[str, list[Floats]] = {name: [] for name in graph.outputs}
    for first in range(0, count, BATCH):
        inputs = {
            name: graph.tensors[name].number.quantise(sources.samples[name][first : first + BATCH])
            for name in graph.inputs
        }
        trace = golden.run(graph, inputs)
        for name, values in parts.items():
            values.append(graph.tensors[name].number.dequantise(trace[name]).reshape(len(trace[name]), -1))
    signal = noise = 0.0
    for name, values in parts.items():
        real = np.asarray(sources.float_outputs[name], dtype=np.float64).reshape(count, -1)
        signal += float((real**2).sum())
        noise += float(((real - np.concatenate(values)) ** 2).sum())
    main = graph.outputs[0]
    return Quality(
        samples=count,
        sqnr_db=round(_decibel(signal, noise), 2),
        accuracy=_accuracy(sources, np.concatenate(parts[main])),
        float_accuracy=_accuracy(sources, np.asarray(sources.float_outputs[main]).reshape(count, -1)),
    )


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return LIMIT_DB
    if signal == 0:
        return -LIMIT_DB
    return max(-LIMIT_DB, min(LIMIT_DB, 10 * log10(signal / noise)))


def _accuracy(sources: Sources, outputs: Floats) -> float | None:
    if sources.labels is None:
        return None
    return float(np.mean(outputs.argmax(axis=1) == sources.labels))

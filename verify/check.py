"""All samples through all worlds, and the report on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import prod

from intarsia.task_graph import TaskGraph

from .accuracy import TOP_1, Accuracy, Scorer
from .budget import Budget
from .edge import Verdict
from .examine import examine
from .findings import Batch, Evidence, Findings
from .layer import layers
from .localise import Divergence, localise
from .report import Report
from .worlds import Worlds

_FEW_CLASSES, _SAMPLES_PER_CLASS, _LUCK = 3, 5, 1.5
_GUESSES = (
    "the float model itself is no better than a guess. The labels may not belong to the samples, or these may not have the "
    "scale that the model was trained on: compile again with --input-scale 1 for unsigned bytes as they are, or give floats"
)


def check(
    graph: TaskGraph,
    worlds: Worlds,
    batches: Iterable[Batch],
    budget: Budget | None = None,
    notes: Iterable[str] = (),
    progress: Callable[[int], None] | None = None,
    scorer: Scorer | None = None,
) -> Report:
    """Compare the worlds on some batches; pure but for what the runners do.

    Args:
        graph: quantised task graph.
        worlds: the worlds that take part.
        batches: samples, numbered in order; consumed one at a time.
        budget: thresholds of the quantisation edge.
        notes: remarks to carry into the report.
        progress: called with the number of samples done, after each batch.
        scorer: accuracy of labelled samples; top-1 and top-5 if not given.
    """
    findings = Findings()
    for batch in batches:
        findings = findings.merge(examine(graph, worlds, batch, scorer))
        if progress is not None:
            progress(findings.samples + findings.stress)
    return judge(graph, worlds, findings, budget or Budget(), tuple(notes))


def judge(
    graph: TaskGraph, worlds: Worlds, findings: Findings, budget: Budget, notes: tuple[str, ...] = ()
) -> Report:
    """The report on what was found."""
    rows = layers(graph, worlds.edges, findings, budget)
    divergences = tuple(_named(divergence, findings) for divergence in localise(graph, worlds, rows))
    by_tensor = {row.tensor.name: row for row in rows}
    unobserved = [
        edge
        for edge in worlds.edges
        if any(by_tensor[name].edges[edge].verdict is Verdict.UNOBSERVED for name in graph.outputs)
    ]
    for edge in [edge for edge in unobserved if edge.statistical and not findings.samples]:
        unobserved.remove(edge)
        notes = (*notes, f"no real samples were given: the {edge} edge was not judged")
    if guesses(findings.accuracy, prod(graph.tensors[graph.outputs[0]].shape)):
        notes = (*notes, _GUESSES)
    return Report(
        name=graph.name,
        worlds=worlds.names,
        edges=worlds.edges,
        layers=rows,
        samples=findings.samples,
        stress=findings.stress,
        accuracy=findings.accuracy if findings.accuracy.samples else None,
        top5=findings.top5 if findings.top5.samples else None,
        divergences=divergences,
        unobserved=tuple(unobserved),
        notes=notes,
        evidence=next(filter(None, (evidence_of(one, findings) for one in divergences)), findings.example),
    )


def guesses(accuracy: Accuracy, classes: int) -> bool:
    """True if even the float model is hardly more often right than a guess between the classes, on enough samples to say so."""
    right = accuracy.share(accuracy.float_model)
    if accuracy.metric != TOP_1 or right is None or classes <= _FEW_CLASSES:
        return False
    return accuracy.samples >= _SAMPLES_PER_CLASS * classes and right < _LUCK / classes


def evidence_of(divergence: Divergence, findings: Findings) -> Evidence | None:
    """The failing sample of a divergence."""
    return (
        findings.evidence.get((divergence.edge, divergence.sample)) if divergence.sample is not None else None
    )


def _named(divergence: Divergence, findings: Findings) -> Divergence:
    evidence = evidence_of(divergence, findings)
    return replace(divergence, sample_name=evidence.sample) if evidence else divergence

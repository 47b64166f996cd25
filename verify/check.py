"""All samples through all worlds, and the report on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from intarsia.task_graph import TaskGraph

from .accuracy import Scorer
from .budget import Budget
from .edge import Edge, Verdict
from .examine import examine
from .findings import Batch, Evidence, Findings
from .layer import layers
from .localise import Divergence, localise
from .report import Report
from .worlds import Worlds


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
    if Edge.QUANTISATION in unobserved and not findings.samples:
        unobserved.remove(Edge.QUANTISATION)
        notes = (*notes, "no real samples were given: the quantisation edge was not judged")
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


def evidence_of(divergence: Divergence, findings: Findings) -> Evidence | None:
    """The failing sample of a divergence."""
    return (
        findings.evidence.get((divergence.edge, divergence.sample)) if divergence.sample is not None else None
    )


def _named(divergence: Divergence, findings: Findings) -> Divergence:
    evidence = evidence_of(divergence, findings)
    return replace(divergence, sample_name=evidence.sample) if evidence else divergence

"""One batch through all worlds: every comparison at every edge, cumulative and isolated.

Isolated: the reference's task is fed with the very inputs that the task had in the world under test, taken from that
world's own taps, and must give that world's output. The reference is the QDQ model for the golden, and the golden for
hardware. (The other way round, feeding the golden's tensors into a task
of the hardware, would need injection hardware. Both ask whether f_world(x) == f_golden(x), at x_world or at
x_golden; ours also works on recorded traces.) A tensor that the world does not show is recomputed from the nearest
ones that it does show, so that untapped tasks are checked together with the next tapped one.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from intarsia import golden
from intarsia.task_graph import TaskGraph, Trace

from .accuracy import TOP_1, TOP_5, Accuracy, Scorer, top, total
from .compare import Comparison, compare, malformed
from .edge import Edge, Mode
from .findings import Batch, Check, Evidence, Findings
from .metrics import Fidelity, Saturation, fidelity, saturation
from .runner import Array, Isolated, Isolating
from .worlds import World, Worlds

Traces = dict[World, dict[str, Array]]


def examine(graph: TaskGraph, worlds: Worlds, batch: Batch, scorer: Scorer | None = None) -> Findings:
    """Run a batch in all worlds and compare them; pure but for what the runners do. Without a scorer: top-1 and top-5."""
    traces: Traces = {
        world: _known_only(graph, runner.trace(dict(batch.raw)))
        for world, runner in worlds.runners.items()
        if world not in (World.DENSE, World.FLOAT)
    }
    comparisons: dict[Check, Comparison] = {}
    evidence: dict[tuple[Edge, int], Evidence] = {}
    real_errors: dict[str, float] = {}
    for edge, (reference, tested) in worlds.edges.items():
        if edge.statistical:
            continue
        expected, got = traces[reference], traces[tested]
        isolated, given = _isolated(graph, worlds, edge, batch, traces)
        found = _compare_edge(edge, expected, got, (isolated.raw, given), batch.first_sample)
        for name, steps in isolated.unrounded.items():
            real_errors[name] = float(np.abs(given[name] - steps).max(initial=0))
        comparisons |= found
        for sample in {one.first.sample for one in found.values() if one.first}:
            ends = (worlds.names[reference], worlds.names[tested])
            evidence[edge, sample] = _evidence(batch, sample, ends, expected, got, isolated.raw)

    findings = Findings(
        samples=batch.samples if batch.real is not None else 0,
        stress=batch.samples if batch.real is None else 0,
        comparisons=comparisons,
        real_errors=real_errors,
        evidence=evidence,
        example=_example(worlds, traces, batch) if batch.first_sample == 0 else None,
    )
    if batch.real is None:
        return findings
    return findings.merge(_statistics(graph, worlds, traces, batch, scorer))


def _isolated(
    graph: TaskGraph, worlds: Worlds, edge: Edge, batch: Batch, traces: Traces
) -> tuple[Isolated, Mapping[str, Array]]:
    """What each task should give and what it gives, for the inputs that it had in the world on trial.

    At the lowering edge that is the golden, which cannot be its own judge: the QDQ model says what is right. A user's
    world in its place need not be able to start from any tensor; then the golden has to give what that world gives.
    """
    expected, got = (traces[world] for world in worlds.edges[edge])
    if edge is not Edge.LOWERING:
        return Isolated(recompute(graph, _observed(graph, got, batch), traces[World.GOLDEN]), {}), got
    if not isinstance(worlds.quantised, Isolating):
        return Isolated(expected, {}), recompute(graph, _observed(graph, expected, batch), got)
    same = all(np.array_equal(expected[name], got[name]) for name in expected)
    return (Isolated(expected, {}) if same else worlds.quantised.isolated(got)), got


def recompute(graph: TaskGraph, observed: Mapping[str, Array], reference: Mapping[str, Array]) -> Trace:
    """Each task's output, computed by the golden from the inputs that the task had in the observed world.

    Args:
        graph: quantised task graph.
        observed: the world's tensors; graph inputs must be there.
        reference: the golden's own trace, reused where the world's inputs are the same.
    """
    known: Trace = dict(observed)
    result: Trace = {}
    for task in graph.tasks:
        inputs = [known[name] for name in task.inputs]
        same = all(
            np.array_equal(tensor, reference[name]) for name, tensor in zip(task.inputs, inputs, strict=True)
        )
        result[task.output] = reference[task.output] if same else golden.run_task(graph, task, inputs)
        known.setdefault(task.output, result[task.output])
    return result


def _known_only(graph: TaskGraph, trace: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.asarray(trace[name]) for name in graph.tensors if name in trace}


def _observed(graph: TaskGraph, trace: Mapping[str, Array], batch: Batch) -> Trace:
    """The well-formed tensors of a trace; a graph input that it does not show is what the world was given."""
    observed: Trace = {name: np.asarray(batch.raw[name], np.int64) for name in graph.inputs}
    for name, tensor in trace.items():
        if not malformed(tensor, (batch.samples, *graph.tensors[name].shape)):
            observed[name] = tensor.astype(np.int64, copy=False)
    return observed


def _compare_edge(
    edge: Edge,
    expected: Mapping[str, Array],
    got: Mapping[str, Array],
    isolated: tuple[Mapping[str, Array], Mapping[str, Array]],
    first_sample: int,
) -> dict[Check, Comparison]:
    """Both modes for every tensor that both worlds show.

    At the deployment edge an isolated mismatch counts only where board and C-simulation differ: where they agree,
    the fault is one that they share, and the mapping edge reports it.
    """
    result: dict[Check, Comparison] = {}
    right, given = isolated
    for name in expected:
        if name not in got:
            continue
        result[Check(edge, name, Mode.CUMULATIVE)] = compare(expected[name], got[name], first_sample)
        if name in right and name in given:
            only = None
            if edge is Edge.DEPLOYMENT and expected[name].shape == got[name].shape:
                only = expected[name] != got[name]
            result[Check(edge, name, Mode.ISOLATED)] = compare(right[name], given[name], first_sample, only)
    return result


def _evidence(
    batch: Batch,
    sample: int,
    names: tuple[str, str],
    expected: Mapping[str, Array],
    got: Mapping[str, Array],
    isolated: Mapping[str, Array],
) -> Evidence:
    number = sample - batch.first_sample

    def pick(trace: Mapping[str, Array]) -> dict[str, Array]:
        return {
            name: tensor[number].copy()
            for name, tensor in trace.items()
            if tensor.ndim and len(tensor) > number
        }

    name = batch.names[number] if batch.names else f"sample {sample}"
    return Evidence(name, *names, pick(batch.raw), pick(expected), pick(got), pick(isolated))


def _example(worlds: Worlds, traces: Traces, batch: Batch) -> Evidence:
    """Sample 0 in the golden and in the last world that runs the accelerator."""
    last = worlds.accelerator or World.GOLDEN
    names = (worlds.names[World.GOLDEN], worlds.names[last])
    return _evidence(batch, batch.first_sample, names, traces[World.GOLDEN], traces[last], {})


def _statistics(
    graph: TaskGraph, worlds: Worlds, traces: Traces, batch: Batch, scorer: Scorer | None
) -> Findings:
    """The quantisation edge, saturation and accuracy: for real samples only, whose distribution counts."""
    metric = getattr(scorer, "__name__", "accuracy") if scorer else TOP_1
    rails: dict[str, Saturation] = {
        name: saturation(tensor, graph.tensors[name].number) for name, tensor in traces[World.GOLDEN].items()
    }
    real: Mapping[str, Array] = {}
    dense: Mapping[str, Array] = {}
    lost: dict[str, Fidelity] = {}
    comparisons: dict[Check, Comparison] = {}
    close: dict[tuple[str, Mode], Fidelity] = {}
    faithful: dict[str, Fidelity] = {}
    if worlds.float_model is not None and batch.real is not None:
        real = _known_only(graph, worlds.float_model.trace(dict(batch.real)))
        image = traces[worlds.image]
        rounded = {
            name: graph.tensors[name].number.quantise(np.nan_to_num(value)) for name, value in real.items()
        }
        isolated = recompute(graph, {**_observed(graph, {}, batch), **rounded}, traces[World.GOLDEN])
        for name, value in real.items():
            number = graph.tensors[name].number
            if name in image:
                close[name, Mode.CUMULATIVE] = fidelity(value, number.dequantise(image[name]))
                check = Check(Edge.QUANTISATION, name, Mode.CUMULATIVE)
                comparisons[check] = compare(rounded[name], image[name], batch.first_sample)
            if name in isolated:
                close[name, Mode.ISOLATED] = fidelity(value, number.dequantise(isolated[name]))
        if worlds.float_reference is not None:
            alone = worlds.float_reference.isolated({**batch.real, **real})
            faithful = {name: fidelity(alone[name], real[name]) for name in real if name in alone}
    if worlds.dense is not None and batch.real is not None:
        dense = _known_only(graph, worlds.dense.trace(dict(batch.real)))
        lost = {name: fidelity(value, real[name]) for name, value in dense.items() if name in real}
    return Findings(
        comparisons=comparisons,
        fidelity=close,
        faithful=faithful,
        compression=lost,
        saturation=rails,
        accuracy=_accuracy(graph, worlds, traces, (dense, real), batch, scorer or top(1), metric),
        top5=Accuracy(metric=TOP_5)
        if scorer
        else _accuracy(graph, worlds, traces, (dense, real), batch, top(5), TOP_5),
    )


def _accuracy(
    graph: TaskGraph,
    worlds: Worlds,
    traces: Traces,
    floats: tuple[Mapping[str, Array], Mapping[str, Array]],
    batch: Batch,
    scorer: Scorer,
    metric: str,
) -> Accuracy:
    """Sum of scores per world, from its real outputs; None for a world that does not show them.

    `floats` are the tensors of the dense and of the compiled float model.
    """
    labels = batch.labels
    if labels is None:
        return Accuracy(metric=metric)

    def score(outputs: Mapping[str, Array]) -> Fraction | None:
        shown = {name: outputs[name] for name in graph.outputs if name in outputs}
        wanted = {name: (batch.samples, *graph.tensors[name].shape) for name in graph.outputs}
        if {name: values.shape for name, values in shown.items()} != wanted:
            return None
        return total(scorer, shown, labels, metric)

    def integers(world: World | None) -> Fraction | None:
        trace = traces[world] if world else {}
        numbers = {name: graph.tensors[name].number for name in graph.outputs if name in trace}
        return score({name: number.dequantise(trace[name]) for name, number in numbers.items()})

    dense, real = floats
    return Accuracy(
        len(labels),
        score(real),
        integers(worlds.image),
        integers(worlds.accelerator),
        metric,
        score(dense),
    )

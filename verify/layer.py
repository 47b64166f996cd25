"""One row of the report: a layer, and what each edge says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from intarsia.quantise.accumulators import FLOAT32_EXACT, accumulator_ranges
from intarsia.task_graph import TaskGraph, Tensor

from .budget import Budget
from .compare import Comparison
from .edge import Edge, Mode, Verdict
from .findings import Check, Findings
from .metrics import Fidelity, Saturation

MOST_INEXACT_PERCENT = 0.1
"""Elements of a layer whose last bit may differ in ONNX Runtime because it multiplies by scales in float32."""


@dataclass(frozen=True)
class EdgeResult:
    """One layer at one edge; a comparison is None where the worlds do not show the tensor.

    At the quantisation edge the comparison is between the float model's values, rounded to the tensor's format,
    and the quantised model's: informative, while the verdict comes from the budget.
    """

    verdict: Verdict
    cumulative: Comparison | None = None
    isolated: Comparison | None = None
    reason: str = ""
    unfaithful: bool = False
    """At the quantisation edge: the float model itself does not compute this layer."""


@dataclass(frozen=True)
class Layer:
    """A graph input or a task, named by the task; `tensor` is what it makes."""

    name: str
    op: str
    tensor: Tensor
    onnx_nodes: tuple[str, ...]
    edges: Mapping[Edge, EdgeResult]
    fidelity: Fidelity | None = None
    isolated_fidelity: Fidelity | None = None
    """Noise added by this layer alone: the golden's task on the rounded float inputs."""
    saturation: Saturation = field(default_factory=Saturation)

    @property
    def exact(self) -> tuple[Comparison, ...]:
        """Cumulative comparisons at the exact edges."""
        results = (result.cumulative for edge, result in self.edges.items() if not edge.statistical)
        return tuple(comparison for comparison in results if comparison is not None)

    @property
    def max_lsb(self) -> int | None:
        """Largest difference at any exact edge."""
        return max((comparison.max_lsb for comparison in self.exact), default=None)

    @property
    def mismatch_percent(self) -> float | None:
        """Largest share of differing elements at any exact edge."""
        return max((100 - comparison.similarity for comparison in self.exact), default=None)


def layers(graph: TaskGraph, edges: Iterable[Edge], findings: Findings, budget: Budget) -> tuple[Layer, ...]:
    """A row for each graph input, then for each task, in order."""
    order = (*((name, None) for name in graph.inputs), *((task.output, task) for task in graph.tasks))
    results = {edge: _results(graph, edge, findings, budget) for edge in edges}
    return tuple(
        Layer(
            name=task.name if task else name,
            op=task.operator.name if task else "Input",
            tensor=graph.tensors[name],
            onnx_nodes=task.onnx_nodes if task else (),
            edges={edge: results[edge][name] for edge in results},
            fidelity=findings.fidelity.get((name, Mode.CUMULATIVE)),
            isolated_fidelity=findings.fidelity.get((name, Mode.ISOLATED)),
            saturation=findings.saturation.get(name, Saturation()),
        )
        for name, task in order
    )


def _results(graph: TaskGraph, edge: Edge, findings: Findings, budget: Budget) -> dict[str, EdgeResult]:
    """Every tensor at one edge, in order."""
    names = (*graph.inputs, *(task.output for task in graph.tasks))
    if edge is Edge.COMPRESSION:
        return {name: _compressed(graph, name, findings, budget) for name in names}
    if edge is Edge.QUANTISATION:
        return {name: _statistical(graph, name, findings, budget) for name in names}
    results = {name: _exact(edge, name, findings) for name in names}
    for name in graph.inputs:
        if results[name].verdict is Verdict.UNOBSERVED:
            results[name] = EdgeResult(Verdict.GIVEN, reason="both worlds were given these integers")
    return (
        _tolerate(graph, _within_bounds(graph, results, findings.real_errors))
        if edge is Edge.LOWERING
        else results
    )


def _exact(edge: Edge, tensor: str, findings: Findings) -> EdgeResult:
    cumulative = findings.comparisons.get(Check(edge, tensor, Mode.CUMULATIVE))
    isolated = findings.comparisons.get(Check(edge, tensor, Mode.ISOLATED))
    if cumulative is None:
        return EdgeResult(Verdict.UNOBSERVED)
    if cumulative.equal and (isolated is None or isolated.equal):
        return EdgeResult(Verdict.PASS, cumulative, isolated)
    inherited = isolated is not None and isolated.equal
    return EdgeResult(
        Verdict.INHERITED if inherited else Verdict.FAIL, cumulative, isolated, cumulative.problem
    )


def _within_bounds(
    graph: TaskGraph, results: dict[str, EdgeResult], real_errors: Mapping[str, float]
) -> dict[str, EdgeResult]:
    """Turn the difference of an integer algorithm from the float function into a warning, where it is within its bounds.

    What counts is the difference for the very inputs that the task got (isolated): from the rounded result in whole LSB,
    and, where the operator states it, from the real value.
    """
    operators = {task.output: (task.operator, task.operator.tolerance(task.values)) for task in graph.tasks}

    def judged(name: str, result: EdgeResult) -> EdgeResult:
        if name not in operators:
            return result
        alone, (operator, bound) = result.isolated, operators[name]
        if result.verdict is not Verdict.FAIL or alone is None or alone.problem or alone.max_lsb > bound:
            return result
        error, most = real_errors.get(name, 0.0), operator.real_error
        if error > most > 0:
            return replace(
                result, reason=f"{error:.2f} LSB from the real value, at most {most:g} are allowed"
            )
        reason = f"an integer algorithm: within {bound} LSB of ONNX Runtime for the inputs it got"
        return replace(result, verdict=Verdict.WARN, reason=reason)

    return {name: judged(name, result) for name, result in results.items()}


def _tolerate(graph: TaskGraph, results: dict[str, EdgeResult]) -> dict[str, EdgeResult]:
    """Turn a last-bit difference of the float32 reference into a warning, and what follows from it.

    ONNX Runtime computes the quantised model in float32. Where range analysis cannot prove that to be exact
    (accumulators of 24 bits and more, or scales that are no powers of two), a layer may be wrong by 1 LSB for its own
    inputs, and it is not the golden that is wrong. Scales alone may do that to so few elements only as
    `MOST_INEXACT_PERCENT` says. A real fault anywhere at this edge keeps all verdicts as they are.
    """
    ranges = accumulator_ranges(graph)
    inexact = {task.output for task in graph.tasks if not ranges[task.name].float32_exact}
    wide = {
        task.output
        for task in graph.tasks
        if ranges[task.name].bound >= FLOAT32_EXACT or ranges[task.name].scales_exact
    }

    def last_bit(name: str, result: EdgeResult) -> bool:
        if name not in inexact or result.isolated is None or result.isolated.max_lsb > 1:
            return False
        found = result.isolated
        return name in wide or found.mismatches <= max(1, MOST_INEXACT_PERCENT / 100 * found.elements)

    bad = {name: result for name, result in results.items() if result.verdict.bad}
    faults = {
        name for name, result in bad.items() if result.verdict is Verdict.FAIL and not last_bit(name, result)
    }
    upstream = {Verdict.FAIL, Verdict.WARN} & {result.verdict for result in results.values()}
    if faults or not upstream:
        return results
    why = "accumulators this wide" if inexact <= wide else "scales that are no powers of two"
    reasons = {
        Verdict.FAIL: f"ONNX Runtime's float32 is not exact for {why}: the last bit may differ",
        Verdict.INHERITED: "right for the inputs it got, which differ within the bounds of layers before it",
    }
    return results | {
        name: replace(result, verdict=Verdict.WARN, reason=reasons[result.verdict])
        for name, result in bad.items()
    }


def _compressed(graph: TaskGraph, tensor: str, findings: Findings, budget: Budget) -> EdgeResult:
    """By accuracy, for a graph output with labels; all else is told and not judged.

    Fine-tuning moves the values of layers, and a good compressed model may have other ones everywhere.
    """
    fidelity = findings.compression.get(tensor)
    if fidelity is None:
        return EdgeResult(Verdict.UNOBSERVED)
    judged = budget.judge_compression(findings.accuracy) if tensor in graph.outputs else None
    verdict, reason = judged or (Verdict.PASS, f"SQNR {fidelity.sqnr_db:.1f} dB")
    return EdgeResult(verdict, reason=reason)


def _statistical(graph: TaskGraph, tensor: str, findings: Findings, budget: Budget) -> EdgeResult:
    """By the float model's own layer first: a wrong reference proves nothing.

    Then by the budget: the layer's own, accuracy for a graph output if there were labels, else SQNR.
    """
    output = tensor in graph.outputs
    layer = graph.producers[tensor].name if tensor in graph.producers else tensor
    comparison = findings.comparisons.get(Check(Edge.QUANTISATION, tensor, Mode.CUMULATIVE))
    fidelity = findings.fidelity.get((tensor, Mode.CUMULATIVE))
    if fidelity is None:
        return EdgeResult(Verdict.UNOBSERVED)
    if fidelity.not_finite:
        reason = f"{fidelity.not_finite} values of the float model are NaN or infinite"
        return EdgeResult(Verdict.FAIL, comparison, reason=reason)
    own = findings.faithful.get(tensor)
    if own is not None and (wrong := budget.judge_float(own, graph.tensors[tensor].number.scale)):
        return EdgeResult(wrong[0], comparison, reason=wrong[1], unfaithful=True)
    judged = budget.judge_layer(layer, fidelity.sqnr_db)
    if judged is None and output:
        judged = budget.judge_accuracy(findings.accuracy)
    verdict, reason = judged or budget.judge_sqnr(fidelity.sqnr_db, output=output)
    return EdgeResult(verdict, comparison, reason=reason)

"""One row of the report: a layer, and what each edge says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from intarsia.task_graph import TaskGraph, Tensor

from .budget import Budget
from .compare import Comparison
from .edge import Edge, Mode, Verdict
from .findings import Accuracy, Check, Findings
from .metrics import Fidelity, Saturation


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
        results = (result.cumulative for edge, result in self.edges.items() if edge is not Edge.QUANTISATION)
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
    return tuple(
        Layer(
            name=task.name if task else name,
            op=task.operator.name if task else "Input",
            tensor=graph.tensors[name],
            onnx_nodes=task.onnx_nodes if task else (),
            edges={edge: _result(edge, name, name in graph.outputs, findings, budget) for edge in edges},
            fidelity=findings.fidelity.get((name, Mode.CUMULATIVE)),
            isolated_fidelity=findings.fidelity.get((name, Mode.ISOLATED)),
            saturation=findings.saturation.get(name, Saturation()),
        )
        for name, task in order
    )


def _result(edge: Edge, tensor: str, output: bool, findings: Findings, budget: Budget) -> EdgeResult:
    cumulative = findings.comparisons.get(Check(edge, tensor, Mode.CUMULATIVE))
    isolated = findings.comparisons.get(Check(edge, tensor, Mode.ISOLATED))
    if edge is Edge.QUANTISATION:
        verdict, reason = _statistical(
            findings.fidelity.get((tensor, Mode.CUMULATIVE)), output, findings.accuracy, budget
        )
        return EdgeResult(verdict, cumulative, isolated, reason)
    if cumulative is None:
        return EdgeResult(Verdict.UNOBSERVED)
    if cumulative.equal and (isolated is None or isolated.equal):
        return EdgeResult(Verdict.PASS, cumulative, isolated)
    inherited = isolated is not None and isolated.equal
    return EdgeResult(
        Verdict.INHERITED if inherited else Verdict.FAIL, cumulative, isolated, cumulative.problem
    )


def _statistical(
    fidelity: Fidelity | None, output: bool, accuracy: Accuracy, budget: Budget
) -> tuple[Verdict, str]:
    if fidelity is None:
        return Verdict.UNOBSERVED, ""
    if fidelity.not_finite:
        return Verdict.FAIL, f"{fidelity.not_finite} values of the float model are NaN or infinite"
    if output and (judged := budget.judge_accuracy(accuracy)):
        return judged
    return budget.judge_sqnr(fidelity.sqnr_db, output=output and not accuracy.samples)

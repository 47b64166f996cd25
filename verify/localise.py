"""Where the worlds part: the first divergence at each edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from intarsia.task_graph import TaskGraph

from .compare import Comparison
from .edge import Edge, Mode, Verdict
from .layer import Layer
from .worlds import EMULATED_BOARD, World, Worlds


@dataclass(frozen=True)
class Divergence:
    """One fault: the class of the bug (edge), the layer that has it, and one element that shows it.

    `mode` is ISOLATED if the layer is wrong for the very inputs that it got, CUMULATIVE if that could not be told.
    `inputs_match` says whether the layer's inputs agree at this edge (None: not observed). `through` names tasks that
    were not observed and so are under the same suspicion. Values are raw integers; index and values are None where
    whole tensors disagree (`reason` says how).
    """

    edge: Edge
    layer: str
    tensor: str
    mode: Mode
    expected_world: str
    got_world: str
    inputs_match: bool | None
    sample: int | None = None
    sample_name: str = ""
    index: tuple[int, ...] | None = None
    expected: int | None = None
    got: int | None = None
    through: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        suspects = f" or untapped {', '.join(self.through)}" if self.through else ""
        parts = [f"{self.layer}{suspects} ({self.edge})"]
        if self.index is not None:
            index = ",".join(map(str, self.index))
            parts.append(f"index ({index}) {self.expected_world}={self.expected} {self.got_world}={self.got}")
        text = " ".join(parts)
        inputs = {True: "inputs match", False: "inputs differ", None: "inputs not observed"}[
            self.inputs_match
        ]
        if self.inputs_match is False and self.mode is Mode.ISOLATED:
            inputs = "inputs differ too, but the layer is wrong for those it got"
        details = [self.reason, inputs if not self.edge.statistical else "", self.sample_name]
        return "; ".join([text, *filter(None, details)])


def localise(graph: TaskGraph, worlds: Worlds, rows: Sequence[Layer]) -> tuple[Divergence, ...]:
    """The first divergence of each edge that fails, in edge order: the first one names the class of the bug.

    Where the lowering edge, which is exact, fails as well as the statistical one before it, it comes first: either the
    QDQ model or the golden is then not what quantisation made, so nothing can be said about quantisation.

    Within an edge: the first layer, in topological order, that is wrong for the inputs it got; failing that, the
    first that differs.
    """
    found = (
        _compression(worlds, rows)
        if edge is Edge.COMPRESSION
        else _statistical(worlds, rows)
        if edge is Edge.QUANTISATION
        else _exact(graph, worlds, rows, edge)
        for edge in worlds.edges
    )
    divergences = [divergence for divergence in found if divergence]
    order = (Edge.COMPRESSION, Edge.LOWERING, Edge.QUANTISATION, Edge.MAPPING, Edge.DEPLOYMENT)
    return tuple(sorted(divergences, key=lambda one: order.index(one.edge)))


def _exact(graph: TaskGraph, worlds: Worlds, rows: Sequence[Layer], edge: Edge) -> Divergence | None:
    bad = [row for row in rows if row.edges[edge].verdict.bad]
    if not bad:
        return None
    row = next((row for row in bad if row.edges[edge].verdict is Verdict.FAIL), bad[0])
    result = row.edges[edge]
    culprit = result.isolated is not None and not result.isolated.equal
    shown = result.isolated if culprit and result.isolated else result.cumulative or Comparison()
    inherited = result.verdict is Verdict.INHERITED
    first = shown.first
    expected_world, got_world = (_short(worlds.names, world) for world in worlds.edges[edge])
    return Divergence(
        edge=edge,
        layer=row.name,
        tensor=row.tensor.name,
        mode=Mode.ISOLATED if culprit else Mode.CUMULATIVE,
        expected_world=expected_world,
        got_world=got_world,
        inputs_match=_inputs_match(graph, rows, edge, row),
        sample=first.sample if first else None,
        index=first.index if first else None,
        expected=first.expected if first else None,
        got=first.got if first else None,
        through=_unobserved_before(graph, rows, edge, row),
        reason=shown.problem
        or (f"{got_world} is right for the inputs it got" if inherited else result.reason),
    )


def _compression(worlds: Worlds, rows: Sequence[Layer]) -> Divergence | None:
    """The output, if compression cost more accuracy than the budget allows."""
    failed = next((row for row in rows if row.edges[Edge.COMPRESSION].verdict is Verdict.FAIL), None)
    if failed is None:
        return None
    expected_world, got_world = (_short(worlds.names, world) for world in worlds.edges[Edge.COMPRESSION])
    reason = failed.edges[Edge.COMPRESSION].reason
    return Divergence(
        Edge.COMPRESSION,
        failed.name,
        failed.tensor.name,
        Mode.CUMULATIVE,
        expected_world,
        got_world,
        None,
        reason=reason,
    )


def _statistical(worlds: Worlds, rows: Sequence[Layer]) -> Divergence | None:
    """The first layer that the float model does not compute; else the one that adds most noise, if the budget is exceeded."""
    failed = next((row for row in rows if row.edges[Edge.QUANTISATION].verdict is Verdict.FAIL), None)
    if failed is None:
        return None
    wrong = next((row for row in rows if row.edges[Edge.QUANTISATION].unfaithful), None)
    known = [row for row in rows if row.op != "Input" and row.isolated_fidelity is not None]
    row = wrong or min(
        known, key=lambda row: row.isolated_fidelity.sqnr_db if row.isolated_fidelity else 0.0, default=failed
    )
    expected_world, got_world = (_short(worlds.names, world) for world in worlds.edges[Edge.QUANTISATION])
    reason = f"{failed.name}: {failed.edges[Edge.QUANTISATION].reason}"
    if wrong is not None:
        reason = wrong.edges[Edge.QUANTISATION].reason
    elif Edge.LOWERING in worlds.edges and any(one.edges[Edge.LOWERING].verdict.bad for one in rows):
        reason += "; says little while the lowering edge fails"
    elif row.isolated_fidelity is not None:
        reason += f"; {row.name} adds most noise ({row.isolated_fidelity.sqnr_db:.1f} dB on its own). "
        reason += "Give it more bits (compile --precision), or say what may be lost (--budget)"
    return Divergence(
        Edge.QUANTISATION,
        row.name,
        row.tensor.name,
        Mode.ISOLATED,
        expected_world,
        got_world,
        None,
        reason=reason,
    )


def _short(names: Mapping[World, str], world: World) -> str:
    """Name of a world within the one-line message."""
    return EMULATED_BOARD if names[world] == EMULATED_BOARD else str(world)


def _inputs_match(graph: TaskGraph, rows: Sequence[Layer], edge: Edge, row: Layer) -> bool | None:
    task = graph.producers.get(row.tensor.name)
    if task is None:
        return None
    by_tensor = {row.tensor.name: row.edges[edge] for row in rows}
    results = [by_tensor[name] for name in task.inputs]
    if any(result.verdict.bad for result in results):
        return False
    hidden = (
        name for name in task.inputs if by_tensor[name].cumulative is None and name not in graph.inputs
    )  # a graph input that a world does not show is what it was given
    return None if any(hidden) else True


def _unobserved_before(graph: TaskGraph, rows: Sequence[Layer], edge: Edge, row: Layer) -> tuple[str, ...]:
    """Tasks between this layer and the nearest observed tensors."""
    unobserved = {one.tensor.name for one in rows if one.edges[edge].verdict is Verdict.UNOBSERVED}
    suspects: set[str] = set()
    pending = [row.tensor.name]
    while pending:
        for name in graph.producers[tensor].inputs if (tensor := pending.pop()) in graph.producers else ():
            if name in unobserved and name in graph.producers and graph.producers[name].name not in suspects:
                suspects.add(graph.producers[name].name)
                pending.append(name)
    return tuple(task.name for task in graph.tasks if task.name in suspects)

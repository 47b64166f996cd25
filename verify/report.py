"""The result of a verification, and its forms: JSON, a table, a page, JUnit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from . import html_page, junit, table
from .accuracy import Accuracy
from .compare import Comparison, Difference
from .edge import Edge, Verdict
from .findings import Evidence
from .layer import Layer
from .localise import Divergence
from .worlds import World


@dataclass(frozen=True, eq=False)
class Report:
    """What was compared, and whether it agrees.

    `divergences` holds the first one of each edge that fails. `unobserved` names the edges at which a graph output
    was not seen: nothing can be said for those, so they do not pass. `evidence` is a failing sample where there
    is one, else the first sample.
    """

    name: str
    worlds: Mapping[World, str]
    edges: Mapping[Edge, tuple[World, World]]
    layers: tuple[Layer, ...]
    samples: int = 0
    stress: int = 0
    accuracy: Accuracy | None = None
    top5: Accuracy | None = None
    divergences: tuple[Divergence, ...] = ()
    unobserved: tuple[Edge, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: Evidence | None = None

    @property
    def passed(self) -> bool:
        """True if something was compared, all of it agrees, and the outputs were seen at every edge."""
        compared = any(layer.exact for layer in self.layers)
        return compared and not self.divergences and not self.unobserved

    @property
    def first_divergence(self) -> Divergence | None:
        """The first divergence in the chain of worlds: where to look."""
        return self.divergences[0] if self.divergences else None

    @property
    def verdict(self) -> str:
        """The last line of the table: one line that says it all."""
        if self.first_divergence:
            return f"FIRST DIVERGENCE: {self.first_divergence}"
        if self.unobserved:
            return f"NOT VERIFIED: outputs not observed at the {', '.join(self.unobserved)} edge"
        if not self.passed:
            return "NOT VERIFIED: nothing was compared"
        bounded = Edge.LOWERING in self.edges and Verdict.WARN in self.counts_of(Edge.LOWERING)
        beside = {World.DENSE, World.FLOAT, *([World.QUANTISED] if bounded else [])}
        chain = " = ".join(name for world, name in self.worlds.items() if world not in beside)
        but = f"; {self.worlds[World.QUANTISED]} differs within the bounds of each layer" if bounded else ""
        return f"PASSED: {chain} in every bit{but}; {self.coverage}, {self.counts}"

    @property
    def coverage(self) -> str:
        """How many layers were compared at every edge; inputs of the model are none."""
        layers = [layer for layer in self.layers if layer.op != "Input"]
        verdicts = [{result.verdict for result in layer.edges.values()} for layer in layers]
        seen = sum(Verdict.UNOBSERVED not in found for found in verdicts)
        of = f"all {len(layers)} layers" if seen == len(layers) else f"{seen} of {len(layers)} layers"
        return f"{of} compared at every edge"

    @property
    def counts(self) -> str:
        """What was run."""
        return f"{self.samples} sample{'' if self.samples == 1 else 's'} and {self.stress} stress vectors"

    def counts_of(self, edge: Edge) -> dict[Verdict, int]:
        """Layers per verdict at an edge."""
        verdicts = [layer.edges[edge].verdict for layer in self.layers]
        return {verdict: verdicts.count(verdict) for verdict in Verdict if verdict in verdicts}

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys; SQNR is within +-200 dB, null where not measured."""
        result: dict[str, Any] = {
            "passed": self.passed,
            "first_divergence": _divergence(self.first_divergence) if self.first_divergence else None,
            "divergences": [_divergence(divergence) for divergence in self.divergences],
            "samples": self.samples,
            "stress_vectors": self.stress,
            "worlds": {str(world): name for world, name in self.worlds.items()},
            "layers": [_layer(layer) for layer in self.layers],
            "notes": list(self.notes),
        }
        for key, accuracy in (("accuracy", self.accuracy), ("top5", self.top5)):
            if accuracy is not None:
                result[key] = _accuracy(accuracy)
        return result

    def print(self, console: Console | None = None) -> None:
        """A table with one row per layer, and the verdict."""
        table.print_report(self, console or Console())

    def to_html(self) -> str:
        """A self-contained page."""
        return html_page.render(self)

    def to_junit(self) -> str:
        """JUnit XML: one test case per layer and edge."""
        return junit.render(self)


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    return {
        "metric": accuracy.metric,
        "samples": accuracy.samples,
        **({} if accuracy.dense is None else {"dense": accuracy.share(accuracy.dense)}),
        "float": accuracy.share(accuracy.float_model),
        "quantised": accuracy.share(accuracy.quantised),
        "accelerator": accuracy.share(accuracy.accelerator),
    }


def _divergence(divergence: Divergence) -> dict[str, Any]:
    return {
        "edge": str(divergence.edge),
        "layer": divergence.layer,
        "tensor": divergence.tensor,
        "mode": str(divergence.mode),
        "sample": divergence.sample,
        "sample_name": divergence.sample_name,
        "index": list(divergence.index) if divergence.index is not None else None,
        "expected": divergence.expected,
        "got": divergence.got,
        "expected_world": divergence.expected_world,
        "got_world": divergence.got_world,
        "inputs_match": divergence.inputs_match,
        "through": list(divergence.through),
        "text": str(divergence),
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "op": layer.op,
        "tensor": layer.tensor.name,
        "shape": list(layer.tensor.shape),
        "sqnr_db": layer.fidelity.sqnr_db if layer.fidelity else None,
        "isolated_sqnr_db": layer.isolated_fidelity.sqnr_db if layer.isolated_fidelity else None,
        "cosine": layer.fidelity.cosine if layer.fidelity else None,
        "saturated": {
            "low": layer.saturation.low,
            "high": layer.saturation.high,
            "elements": layer.saturation.elements,
        },
        "edges": {
            str(edge): {
                "verdict": str(result.verdict),
                **_comparison(result.cumulative),
                "isolated_mismatches": result.isolated.mismatches if result.isolated else None,
            }
            for edge, result in layer.edges.items()
        },
    }


def _comparison(found: Comparison | None) -> dict[str, Any]:
    """What a comparison says; nulls where the tensor was not observed. `mean_lsb` is the bias."""
    if found is None:
        return {
            "mismatches": None,
            "elements": 0,
            "similarity": None,
            "max_lsb": None,
            "mean_lsb": None,
            "first": None,
            "worst": None,
        }
    return {
        "mismatches": found.mismatches,
        "elements": found.elements,
        "similarity": found.similarity,
        "max_lsb": found.max_lsb,
        "mean_lsb": found.mean_lsb,
        "first": _difference(found.first),
        "worst": _difference(found.worst),
    }


def _difference(one: Difference | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"sample": one.sample, "index": list(one.index), "expected": one.expected, "got": one.got}

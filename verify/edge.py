"""The steps of the verification chain, and what can be said of a layer at each of them."""

from __future__ import annotations

from enum import StrEnum


class Edge(StrEnum):
    """A step between two neighbouring worlds, in chain order; the first that fails names the class of the bug."""

    COMPRESSION = "compression"
    """Dense float model ~ compressed one: statistical; judged by accuracy, where there are labels."""
    QUANTISATION = "quantisation"
    """Float model ~ quantised model: statistical, judged against a budget."""
    LOWERING = "lowering"
    """Quantised model in ONNX Runtime == golden: exact."""
    MAPPING = "mapping"
    """Golden == C-simulation: exact."""
    DEPLOYMENT = "deployment"
    """C-simulation == board: exact."""

    @property
    def statistical(self) -> bool:
        """True if both worlds need not have the same integers."""
        return self in (Edge.COMPRESSION, Edge.QUANTISATION)


class Mode(StrEnum):
    """How a tensor is compared at an edge."""

    CUMULATIVE = "cumulative"
    """The whole chain: both worlds start from the same graph inputs."""
    ISOLATED = "isolated"
    """One task: the golden computes it from the very inputs that it had in the world under test."""


class Verdict(StrEnum):
    """The judgement on one layer at one edge."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    INHERITED = "inherited"
    """The layer differs, but is right for the inputs it got: the fault lies upstream."""
    GIVEN = "given"
    """An input of the model: both worlds got these integers, and the one under test does not show them again."""
    UNOBSERVED = "not observed"
    """The world does not show the tensor; nothing is known about it."""

    @property
    def bad(self) -> bool:
        """True if the worlds disagree here."""
        return self in (Verdict.FAIL, Verdict.INHERITED)

"""What the samples examined so far have shown. Findings of batches merge exactly, in any grouping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from .accuracy import TOP_5, Accuracy
from .compare import Comparison
from .edge import Edge, Mode
from .metrics import Fidelity, Saturation
from .runner import Array

Key = TypeVar("Key")
Value = TypeVar("Value")


class Check(NamedTuple):
    """One comparison: a tensor at an edge in a mode."""

    edge: Edge
    tensor: str
    mode: Mode


@dataclass(frozen=True)
class Batch:
    """Some samples, as raw integers and, for the float model, as real values; arrays are (samples, *tensor shape).

    Stress vectors have no `real` values: they take no part in the statistical edge. `labels` are class numbers; `names` say
    what the samples are, where that is more than a number.
    """

    raw: Mapping[str, Array]
    real: Mapping[str, Array] | None = None
    labels: Array | None = None
    first_sample: int = 0
    names: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.raw.values())))


@dataclass(frozen=True, eq=False)
class Evidence:
    """One sample at one edge: the graph inputs and both traces, without the samples axis.

    `isolated` holds what each task should give for the inputs that it had in the world on trial.
    """

    sample: str
    expected_name: str
    got_name: str
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]
    got: Mapping[str, Array]
    isolated: Mapping[str, Array]


@dataclass(frozen=True)
class Findings:
    """Partial results by tensor; `Findings()` is the neutral element of `merge`.

    `evidence` keeps the traces of those samples in which a tensor first differs, `example` those of sample 0: memory
    is bounded by the number of tensors, not of samples.
    """

    samples: int = 0
    stress: int = 0
    comparisons: Mapping[Check, Comparison] = field(default_factory=dict)
    real_errors: Mapping[str, float] = field(default_factory=dict)
    """Largest distance in LSB of the golden from the QDQ model's result before rounding, for the same inputs."""
    fidelity: Mapping[tuple[str, Mode], Fidelity] = field(default_factory=dict)
    faithful: Mapping[str, Fidelity] = field(default_factory=dict)
    """The float model against its own layers in float64, for the same inputs."""
    compression: Mapping[str, Fidelity] = field(default_factory=dict)
    saturation: Mapping[str, Saturation] = field(default_factory=dict)
    accuracy: Accuracy = field(default_factory=Accuracy)
    top5: Accuracy = field(default_factory=lambda: Accuracy(metric=TOP_5))
    evidence: Mapping[tuple[Edge, int], Evidence] = field(default_factory=dict)
    example: Evidence | None = None

    def merge(self, other: Findings) -> Findings:
        """The findings over both sets of samples."""
        comparisons = _join(self.comparisons, other.comparisons, Comparison.merge)
        needed = {(check.edge, one.first.sample) for check, one in comparisons.items() if one.first}
        evidence = {**other.evidence, **self.evidence}
        return Findings(
            self.samples + other.samples,
            self.stress + other.stress,
            comparisons,
            _join(self.real_errors, other.real_errors, max),
            _join(self.fidelity, other.fidelity, Fidelity.merge),
            _join(self.faithful, other.faithful, Fidelity.merge),
            _join(self.compression, other.compression, Fidelity.merge),
            _join(self.saturation, other.saturation, Saturation.merge),
            self.accuracy.merge(other.accuracy),
            self.top5.merge(other.top5),
            {key: evidence[key] for key in sorted(needed & evidence.keys())},
            self.example or other.example,
        )


def _join(
    left: Mapping[Key, Value], right: Mapping[Key, Value], merge: Callable[[Value, Value], Any]
) -> dict[Key, Value]:
    result = dict(left)
    for key, value in right.items():
        result[key] = merge(result[key], value) if key in result else value
    return result

"""How much quantisation may cost: the only edge that is not exact, and the only thresholds of the verifier."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from intarsia.errors import IntarsiaError

from .accuracy import TOP_1, Accuracy
from .edge import Verdict
from .metrics import Fidelity

_World = tuple[Fraction | int | None, str]
"""What is right in a world, None if it took no part, and a word for it."""

_KEYS = ("accuracy_drop", "output_sqnr_db", "layer_sqnr_db", "float_sqnr_db")


class BudgetError(IntarsiaError):
    """A budget file cannot be read, or says something that makes no sense."""


@dataclass(frozen=True)
class Budget:
    """Thresholds of the quantisation edge.

    With labels, accuracy decides: a drop beyond `accuracy_drop` (share of samples) fails, but for a single sample. Without labels, the SQNR of
    the graph's outputs decides: below `output_sqnr_db` fails. 10 dB is where noise reaches a third of the signal's
    amplitude; a sound 8-bit model has 30 dB and more. Any layer below `layer_sqnr_db` gets a warning, which does not
    fail the report: a layer may well lose more than the outputs show. Where `layers` gives a layer an SQNR in dB of its own,
    that is what it must have: below it fails.

    `float_sqnr_db` is no loss of quantisation: so close each layer of the float world must be to the same layer in float64, for
    the same inputs, unless the noise is below 1/64 LSB of the quantised tensor. float32 has 110 dB and more, float16 70,
    bfloat16 55; a single wrong weight has 20 to 45.
    """

    accuracy_drop: float = 0.01
    output_sqnr_db: float = 10.0
    layer_sqnr_db: float = 20.0
    float_sqnr_db: float = 50.0
    layers: Mapping[str, float] = field(default_factory=dict)

    def judge_compression(self, accuracy: Accuracy) -> tuple[Verdict, str] | None:
        """Verdict on the compressed model; None if its accuracy, or that of the dense one, is not known."""
        worlds = (accuracy.dense, " dense"), (accuracy.float_model, " compressed")
        return self._judge_drop("accuracy", worlds, accuracy)

    def judge_accuracy(self, accuracy: Accuracy) -> tuple[Verdict, str] | None:
        """Verdict on the graph's output; None if the accuracy is not known."""
        name = "accuracy" if accuracy.metric == TOP_1 else f"{accuracy.metric} accuracy"
        return self._judge_drop(name, ((accuracy.float_model, ""), (accuracy.quantised, "")), accuracy)

    def _judge_drop(
        self, name: str, worlds: tuple[_World, _World], accuracy: Accuracy
    ) -> tuple[Verdict, str] | None:
        """Verdict on what is right in one world and not in the next; one sample may always be lost."""
        (before, _), (after, _) = worlds
        if before is None or after is None or not accuracy.samples:
            return None
        shown = " -> ".join(f"{100 * (accuracy.share(right) or 0):.2f}%{which}" for right, which in worlds)
        if before - after > max(1, self.accuracy_drop * accuracy.samples):
            allowed = f"{100 * self.accuracy_drop:g} point{'' if self.accuracy_drop == 0.01 else 's'}"
            return Verdict.FAIL, f"{name} {shown}: drops by more than {allowed}"
        return Verdict.PASS, f"{name} {shown}"

    def judge_float(self, faithful: Fidelity, step: float) -> tuple[Verdict, str] | None:
        """Verdict on a layer of the float world, whose quantised tensor has this step; None if it computes what it should."""
        noise = math.sqrt(faithful.noise / faithful.elements) if faithful.elements else 0.0
        if faithful.sqnr_db >= self.float_sqnr_db or noise <= step / 64:
            return None
        return Verdict.FAIL, (
            f"the float model does not compute this layer: {faithful.sqnr_db:.1f} dB from what float64 makes of the same "
            f"inputs, {self.float_sqnr_db:g} dB are wanted"
        )

    def judge_layer(self, layer: str, sqnr_db: float) -> tuple[Verdict, str] | None:
        """Verdict on a layer that has a budget of its own; None if it has none, or keeps to it."""
        wanted = self.layers.get(layer, -math.inf)
        if sqnr_db >= wanted:
            return None
        return Verdict.FAIL, f"SQNR {sqnr_db:.1f} dB is below the {wanted:g} dB of its budget"

    def judge_sqnr(self, sqnr_db: float, output: bool) -> tuple[Verdict, str]:
        """Verdict on a layer; only a graph output can fail."""
        if output and sqnr_db < self.output_sqnr_db:
            return Verdict.FAIL, f"SQNR {sqnr_db:.1f} dB is below {self.output_sqnr_db:g} dB"
        if sqnr_db < self.layer_sqnr_db:
            return Verdict.WARN, f"SQNR {sqnr_db:.1f} dB is below {self.layer_sqnr_db:g} dB"
        return Verdict.PASS, f"SQNR {sqnr_db:.1f} dB"


def load_budget(path: Path | str) -> Budget:
    """Read a budget from a TOML file: the fields of `Budget`, and a table `layers` of SQNR in dB by layer name.

    Raises:
        BudgetError: no such file, no TOML, an unknown key, or a value that is no number.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BudgetError(f"cannot read budget {path}: {error.strerror}") from error
    except ValueError as error:
        raise BudgetError(f"budget {path} is no valid TOML: {error}") from error
    if unknown := [key for key in table if key not in (*_KEYS, "layers")]:
        raise BudgetError(
            f"budget {path}: key {unknown[0]!r} is not known. Known: {', '.join((*_KEYS, 'layers'))}"
        )
    layers = table.pop("layers", {})
    if not isinstance(layers, dict):
        raise BudgetError(f"budget {path}: 'layers' must be a table: [layers], then conv1 = 20.0")
    for key, value in (*table.items(), *((f"layers.{name}", value) for name, value in layers.items())):
        _require_number(path, key, value)
    return Budget(**{key: float(value) for key, value in table.items()}, layers=layers)


def _require_number(path: Path | str, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BudgetError(f"budget {path}: {key!r} must be a finite number, not {value!r}")
    if key == "accuracy_drop" and not 0 <= value <= 1:
        raise BudgetError(f"budget {path}: accuracy_drop is a share of samples, 0 to 1, not {value:g}")

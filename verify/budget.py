"""How much quantisation may cost: the only edge that is not exact, and the only thresholds of the verifier."""

from __future__ import annotations

from dataclasses import dataclass

from .edge import Verdict
from .findings import Accuracy


@dataclass(frozen=True)
class Budget:
    """Thresholds of the quantisation edge.

    With labels, accuracy decides: a drop beyond `accuracy_drop` (share of samples) fails, but for a single sample. Without labels, the SQNR of
    the graph's outputs decides: below `output_sqnr_db` fails. 10 dB is where noise reaches a third of the signal's
    amplitude; a sound 8-bit model has 30 dB and more. Any layer below `layer_sqnr_db` gets a warning, which does not
    fail the report: a layer may well lose more than the outputs show.
    """

    accuracy_drop: float = 0.01
    output_sqnr_db: float = 10.0
    layer_sqnr_db: float = 20.0

    def judge_accuracy(self, accuracy: Accuracy) -> tuple[Verdict, str] | None:
        """Verdict on the graph's output; None if the accuracy is not known."""
        real, quantised = accuracy.share(accuracy.float_model), accuracy.share(accuracy.quantised)
        if real is None or quantised is None:
            return None
        text = f"accuracy {100 * real:.2f}% -> {100 * quantised:.2f}%"
        lost = (accuracy.float_model or 0) - (accuracy.quantised or 0)
        if lost > max(1, self.accuracy_drop * accuracy.samples):
            return Verdict.FAIL, f"{text}: drops by more than {100 * self.accuracy_drop:g} points"
        return Verdict.PASS, text

    def judge_sqnr(self, sqnr_db: float, output: bool) -> tuple[Verdict, str]:
        """Verdict on a layer; only a graph output can fail."""
        if output and sqnr_db < self.output_sqnr_db:
            return Verdict.FAIL, f"SQNR {sqnr_db:.1f} dB is below {self.output_sqnr_db:g} dB"
        if sqnr_db < self.layer_sqnr_db:
            return Verdict.WARN, f"SQNR {sqnr_db:.1f} dB is below {self.layer_sqnr_db:g} dB"
        return Verdict.PASS, f"SQNR {sqnr_db:.1f} dB"

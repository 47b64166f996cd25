"""What spilling costs: the one place that says so."""

from __future__ import annotations

from collections.abc import Iterable

from .problem import Tensor


def spill_cycles(written: Iterable[Tensor], read: Iterable[Tensor]) -> int:
    """Cycles that a phase takes longer because it writes and reads these spilled tensors.

    Transfers take place before and after the computation, one by one, so their cycles add up. `bounds` and `cp_sat`
    ask for one tensor at a time and rely on that.
    """
    return sum(tensor.write_cycles for tensor in written) + sum(tensor.read_cycles for tensor in read)


def spill_words(written: Iterable[Tensor], read: Iterable[Tensor]) -> int:
    """Off-chip words that a phase moves because of these spilled tensors."""
    return sum(tensor.words for tensor in (*written, *read))

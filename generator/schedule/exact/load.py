"""What fetching costs that a phase needs before it begins, such as its weights: the one place that says so."""

from __future__ import annotations


def exposed(load_cycles: int, hiding_cycles: int) -> int:
    """Cycles between two phases: what of the later one's load the earlier one does not hide.

    Before the first phase there is none that hides anything.
    """
    return max(0, load_cycles - hiding_cycles)

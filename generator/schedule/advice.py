"""What would make a design fit that does not: boards that hold it, and options that need less of what is short."""

from __future__ import annotations

from ..board import board_names, load_board
from .evaluate import Evaluation, exceeded

_LESS = {
    "BRAM18": "fewer weight bits (--weight-bits) or activation bits (--activation-bits)",
    "URAM": "fewer weight bits (--weight-bits) or activation bits (--activation-bits)",
    "DSP": "narrower words (--lanes 4)",
    "LUT": "narrower words (--lanes 4) or fewer activation bits (--activation-bits)",
    "FF": "narrower words (--lanes 4)",
}


def what_would_fit(evaluation: Evaluation) -> str:
    """Next steps, as the end of a sentence."""
    boards = [name for name in board_names() if not exceeded(evaluation.resources, load_board(name))]
    larger = (
        f"use {' or '.join(boards)}, which would hold it"
        if boards
        else "use a larger board than any of `intarsia boards`"
    )
    less = dict.fromkeys(_LESS[text.split(":")[0]] for text in evaluation.excess)
    return f"To make it fit, {larger}; or ask for {', or '.join(less)}; or another schedule (--schedule)"

"""What would make a design fit that does not: boards that hold it, and options that need less of what is short."""

from __future__ import annotations

from ..board import board_names, load_board
from .evaluate import Evaluation, exceeded

_NARROWER = "narrower words (--lanes 4)"
_WEIGHTS = "fewer weight bits (--weight-bits)"
_ACTIVATIONS = "fewer activation bits (--activation-bits)"
_LESS = {
    "BRAM18": (_WEIGHTS, _ACTIVATIONS),
    "URAM": (_WEIGHTS, _ACTIVATIONS),
    "DSP": (_NARROWER,),
    "LUT": (_NARROWER, _ACTIVATIONS),
    "FF": (_NARROWER,),
}


def what_would_fit(evaluation: Evaluation) -> str:
    """Next steps, as the end of a sentence."""
    boards = [name for name in board_names() if not exceeded(evaluation.resources, load_board(name))]
    larger = (
        f"use {' or '.join(boards)}, which would hold it"
        if boards
        else "use a larger board than any of `intarsia boards`"
    )
    less = dict.fromkeys(option for text in evaluation.excess for option in _LESS[text.split(":")[0]])
    return f"To make it fit, {larger}; or ask for {' or '.join(less)}; or another schedule (--schedule)"

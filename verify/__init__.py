"""The verifier: float model, ONNX Runtime, golden, C-simulation and board, compared layer by layer."""

from .accuracy import Accuracy, Scorer
from .agree import assert_agrees
from .budget import Budget, load_budget
from .check import check
from .report import Report
from .run import run
from .runner import Runner
from .worlds import World

__all__ = [
    "Accuracy",
    "Budget",
    "Report",
    "Runner",
    "Scorer",
    "World",
    "assert_agrees",
    "check",
    "load_budget",
    "run",
]

"""The verifier: float model, ONNX Runtime, golden, C-simulation and board, compared layer by layer."""

from .agree import assert_agrees
from .budget import Budget
from .check import check
from .report import Report
from .run import run

__all__ = ["Budget", "Report", "assert_agrees", "check", "run"]
